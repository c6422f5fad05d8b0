"""What a daemon tells Prometheus, and that docs/metrics.md tells the same."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from e2e.daemon import Daemon
from e2e.test_lifecycle import hang_up, settle
from gguf_files import tiny_bert
from llamawire.v1 import server_service_pb2, server_service_pb2_grpc

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "metrics.md"


def samples(daemon: Daemon, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    answer = daemon.request("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    return sum(
        sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
        if sample.name == f"llamawire_{name}" and labels.items() <= sample.labels.items()
    )


def test_requests_and_tokens_are_counted(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon()
    told = daemon.generate(prompt="Why is the sky blue?", options={"num_predict": 3}).json
    again = daemon.generate(prompt="Why is the sky blue?", options={"num_predict": 3}).json
    assert samples(daemon, "requests_total", model="tiny:latest", outcome="length") == 2
    assert samples(daemon, "generated_tokens_total", model="tiny:latest") == 6
    prompts = told["prompt_eval_count"] + again["prompt_eval_count"]
    cached = samples(daemon, "prompt_tokens_total", model="tiny:latest", fate="cached")
    computed = samples(daemon, "prompt_tokens_total", model="tiny:latest", fate="computed")
    assert cached > 0
    assert cached + computed == prompts
    for name in ("time_to_first_token_seconds", "request_seconds", "load_seconds"):
        assert samples(daemon, f"{name}_count", model="tiny:latest") == 2
        assert samples(daemon, f"{name}_sum", model="tiny:latest") > 0
    (loaded,) = daemon.request("GET", "/api/ps").json["models"]
    assert samples(daemon, "model_bytes", model="tiny:latest") == loaded["size"]


def test_failures_cancels_and_deaths_are_counted(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon()
    daemon.add_endless_model()
    assert daemon.generate(model="none such").status == 400
    assert daemon.generate(model="none-such", prompt="x").status == 404
    assert samples(daemon, "requests_total", model="", outcome="MODEL_NOT_FOUND") == 1
    hang_up(daemon, 2)
    assert settle(lambda: samples(daemon, "requests_total", outcome="cancelled") == 1)
    assert samples(daemon, "requests_running", model="endless:latest") == 0
    (worker,) = daemon.busy_workers()
    worker.send_signal(signal.SIGKILL)
    assert settle(lambda: samples(daemon, "worker_deaths_total", model="endless:latest") == 1)


def test_embeddings_are_counted(start_daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    daemon = start_daemon()
    daemon.add_model("bert", tiny_bert(tmp_path / "bert.gguf"))
    told = daemon.post("/api/embed", {"model": "bert", "input": ["a", "b"]}).json
    assert samples(daemon, "requests_total", model="bert:latest", outcome="stop") == 1
    assert samples(daemon, "prompt_tokens_total", model="bert:latest") == told["prompt_eval_count"]


def test_grpc_tells_the_same_as_the_page_in_the_docs(daemon: Daemon) -> None:
    daemon.generate(prompt="hi", options={"num_predict": 2})
    with daemon.channel() as channel:
        stub = server_service_pb2_grpc.ServerServiceStub(channel)
        text = stub.GetMetrics(server_service_pb2.GetMetricsRequest()).text.decode()
    kinds = {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in text_string_to_metric_families(text)
        if family.name.startswith("llamawire_")
    }
    documented = dict(re.findall(r"^\| `(llamawire_\w+)` \| (\w+)", DOCS.read_text(), re.M))
    assert kinds == documented


def test_the_dashboard_shows_what_there_is() -> None:
    dashboard = json.loads((ROOT / "deploy" / "grafana.json").read_text())
    exprs = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    shown = {name for expr in exprs for name in re.findall(r"llamawire_\w+", expr)}
    documented = re.findall(r"^\| `(llamawire_\w+)`", DOCS.read_text(), re.M)
    assert {name.removesuffix("_bucket") for name in shown} == set(documented) - {
        "llamawire_request_seconds"
    }
