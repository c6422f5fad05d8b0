"""A real daemon on ports of its own, and the clients to talk to it."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import grpc
import psutil

from gguf_files import echo_automaton, spm_vocabulary
from llamawire.v1 import generation_service_pb2_grpc, model_service_pb2_grpc

START_TIMEOUT_S = 60.0


class Answer:
    """An HTTP answer: status, headers, body, and the JSON in it."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]


class Daemon:
    """`python -m llamawire.engine` in a process of its own."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.log = folder / "daemon.log"
        self.runtime = folder / "run"
        self.runtime.mkdir(exist_ok=True)
        env = {k: v for k, v in os.environ.items() if not k.startswith(("OLLAMA_", "LLAMAWIRE_"))}
        env |= {
            "LLAMAWIRE_HOST": "127.0.0.1:0",
            "LLAMAWIRE_GRPC": "127.0.0.1:0",
            "LLAMAWIRE_MODELS": str(folder / "models"),
            "XDG_RUNTIME_DIR": str(self.runtime),
        } | environment
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "llamawire.engine"], stderr=log, env=env
            )
        self.rest_port, self.grpc_port = self._ports()

    def _ports(self) -> tuple[int, int]:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            found = re.search(
                r"REST on https?://\S+:(\d+), gRPC on \S+:(\d+)", self.log.read_text()
            )
            if found:
                return int(found[1]), int(found[2])
            time.sleep(0.02)
        raise AssertionError(f"the daemon did not start:\n{self.log.read_text()}")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.rest_port}"

    def request(
        self, method: str, path: str, body: Any = None, url: str = "", **headers: str
    ) -> Answer:
        """`url` is an adapter's, if not the daemon's own."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request((url or self.url) + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())

    def post(self, path: str, body: Any) -> Answer:
        return self.request("POST", path, body)

    def generate(self, **fields: Any) -> Answer:
        return self.post("/api/generate", {"model": "tiny", "stream": False} | fields)

    def chat(self, *messages: Any, **fields: Any) -> Answer:
        """A text is a message of the user's."""
        given = [{"role": "user", "content": one} if isinstance(one, str) else one
                 for one in messages]  # fmt: skip
        body = {"model": "tiny", "stream": False, "messages": given} | fields
        return self.post("/api/chat", body)

    @contextlib.contextmanager
    def adapter(self, *arguments: str, **environment: str) -> Iterator[int]:
        """REST in a process of its own; gives its port."""
        given = ["--engine", f"127.0.0.1:{self.grpc_port}", "--listen", "127.0.0.1:0", *arguments]
        adapter = subprocess.Popen(
            [sys.executable, "-m", "llamawire.rest", *given],
            stdout=subprocess.PIPE, text=True, env=os.environ | environment,
        )  # fmt: skip
        with adapter:
            assert adapter.stdout is not None
            found = re.search(r"listens on \S+:(\d+)$", adapter.stdout.readline().strip())
            assert found, "the adapter did not say where it listens"
            yield int(found[1])
            adapter.terminate()
        assert adapter.returncode == 0

    @contextlib.contextmanager
    def channel(self) -> Iterator[grpc.Channel]:
        with grpc.insecure_channel(f"127.0.0.1:{self.grpc_port}") as channel:
            yield channel

    @contextlib.contextmanager
    def generation(self) -> Iterator[generation_service_pb2_grpc.GenerationServiceStub]:
        with self.channel() as channel:
            yield generation_service_pb2_grpc.GenerationServiceStub(channel)

    @contextlib.contextmanager
    def models(self) -> Iterator[model_service_pb2_grpc.ModelServiceStub]:
        with self.channel() as channel:
            yield model_service_pb2_grpc.ModelServiceStub(channel)

    def add_model(self, name: str, gguf: Path, beside: Path | None = None, **fields: Any) -> None:
        """Uploads a file, or a projector with it, and makes a model, as a client would."""
        files = {}
        for path in (gguf, beside) if beside else (gguf,):
            data = path.read_bytes()
            digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
            assert self.request("POST", f"/api/blobs/{digest}", data).status in (200, 201)
            files[path.name] = digest
        body = {"model": name, "files": files, "stream": False} | fields
        answer = self.post("/api/create", body)
        assert answer.json == {"status": "success"}, answer.body

    def add_endless_model(self) -> None:
        """`endless`, a model that recites the alphabet for ever, however it is sampled."""
        letters = "abcdefghijklmnopqrstuvwxyz"
        tokens = spm_vocabulary()["tokenizer.ggml.tokens"]
        assert isinstance(tokens, list)
        ids = [tokens.index(letter) for letter in letters]
        successors = list(range(len(tokens)))
        for here, after in zip(ids, ids[1:] + ids[:1], strict=True):
            successors[here] = after
        path = self.log.parent / "endless.gguf"
        echo_automaton(path, successors=successors, gain=40.0)
        self.add_model("endless", path)

    def add_scripted_model(self, name: str, text: str, **fields: Any) -> None:
        """A model that answers any prompt that ends in `>` with this text.

        No character may come three times; of two, the second is written with its byte.
        """
        tokens = spm_vocabulary()["tokenizer.ggml.tokens"]
        assert isinstance(tokens, list)
        ids = [tokens.index(">")]
        for character in text:
            token = tokens.index(character)
            ids.append(token if token not in ids else tokens.index(f"<0x{ord(character):02X}>"))
        ids.append(tokens.index("</s>"))
        assert len(set(ids)) == len(ids), "a character comes three times"
        successors = list(range(len(tokens)))
        for here, after in itertools.pairwise(ids):
            successors[here] = after
        path = self.log.parent / f"{name}.gguf"
        echo_automaton(path, successors=successors, gain=40.0)
        self.add_model(name, path, **fields)

    def add_newline_model(self) -> None:
        """`newlines`, a model that says every token again, so that a newline is followed by one."""
        path = self.log.parent / "newlines.gguf"
        count = len(cast("list[str]", spm_vocabulary()["tokenizer.ggml.tokens"]))
        echo_automaton(path, successors=list(range(count)), gain=40.0)
        self.add_model("newlines", path)

    def blobs(self) -> list[Path]:
        return list((self.log.parent / "models" / "blobs").iterdir())

    def children(self, word: str) -> list[psutil.Process]:
        """Its processes, and theirs, with this word on their command line."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in family if word in command_line(process)]

    def workers(self) -> list[psutil.Process]:
        """Its worker processes, the spare one among them."""
        return self.children("llamawire.worker")

    def busy_workers(self) -> list[psutil.Process]:
        """Workers that hold a model: those that have a GGUF file mapped or a loop's threads."""
        return [worker for worker in self.workers() if has_model(worker)]

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def settle(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Waits for something that happens soon but not at once."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def command_line(process: psutil.Process) -> str:
    """Empty for one that has just ended, collected or not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


def has_model(worker: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return any(".gguf" in m.path or "/blobs/" in m.path for m in worker.memory_maps())
    return False
