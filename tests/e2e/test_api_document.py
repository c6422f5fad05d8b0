"""Every curl request of the API document that llamawire was asked to implement, as it stands there.

The document lies beside a checkout of the project's developers (shared/); its requests are run
through a real shell and a real curl, with only the port replaced.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.daemon import Daemon

DOCUMENT = Path(__file__).parents[3] / "shared" / "spec" / "000_435d7645a98083d1.txt"
NAMES = ("llama3.2", "llama3.1:8b", "codellama:code", "mistral")

pytestmark = [
    pytest.mark.skipif(not DOCUMENT.exists(), reason="the API document is not beside the checkout"),
    pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed"),
]


def requests() -> list[str]:
    text = DOCUMENT.read_text() if DOCUMENT.exists() else ""
    return re.findall(r"^curl .*?^\}'", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module", params=["serve", "apart"])
def port(request: pytest.FixtureRequest, daemon: Daemon) -> Iterator[int]:
    """REST of the daemon itself, and of an adapter in a process of its own."""
    for name in NAMES:
        assert daemon.post("/api/copy", {"source": "tiny", "destination": name}).status == 200
    seeing = {"source": "tiny-vision", "destination": "llava"}
    assert daemon.post("/api/copy", seeing).status == 200
    if request.param == "serve":
        yield daemon.rest_port
        return
    with daemon.adapter() as port:
        yield port


def run(command: str, port: int) -> tuple[int, list[dict[str, object]]]:
    command = command.replace("localhost:11434", f"localhost:{port}")
    command = command.replace("curl ", "curl -sS -w '\\n%{http_code}' ", 1)
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    *lines, status = done.stdout.strip().splitlines()
    return int(status), [json.loads(line) for line in lines if line]


def test_the_document_has_its_requests() -> None:
    assert len(requests()) == 12


@pytest.mark.parametrize("number", range(12))
def test_a_request_of_the_document_runs_verbatim(number: int, port: int) -> None:
    command = requests()[number]
    body = json.loads(command[command.index("'") + 1 : -1])
    status, lines = run(command, port)
    assert status == 200, lines
    last = lines[-1]
    assert last["model"] == body["model"]
    assert last["done"] is True
    if "prompt" not in body:
        assert last["done_reason"] == ("unload" if body.get("keep_alive") == 0 else "load")
        return
    assert last["done_reason"] in ("stop", "length")
    assert ("context" in last) == (not body.get("raw"))
    text = "".join(str(line["response"]) for line in lines)
    assert text
    if body["prompt"] in ("Why is the sky blue?", "为什么天空是蓝色的?") and "options" not in body:
        assert "scatter" in text or "散射" in text
