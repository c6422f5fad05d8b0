"""Every setting and every limit of the daemon, with its default and its environment variable.

`LLAMAWIRE_X` wins over its twin `OLLAMA_X`. Values are trimmed of blanks and quotes; a number that
does not parse leaves the default, as Ollama does, with a warning.
"""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from llamawire.engine.sandbox import SANDBOX_MODES

__all__ = ["Settings", "parse_duration_s"]

log = logging.getLogger(__name__)
T = TypeVar("T")

UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator can choose. Durations are seconds, sizes bytes."""

    rest_address: str = "127.0.0.1:11434"
    """LLAMAWIRE_HOST, OLLAMA_HOST: where REST listens, in any form that Ollama takes."""
    grpc_address: str = "127.0.0.1:11435"
    """LLAMAWIRE_GRPC: where gRPC listens."""
    models: Path = Path("~/.llamawire/models")
    """LLAMAWIRE_MODELS, OLLAMA_MODELS: the store."""
    api_key_file: Path | None = None
    """LLAMAWIRE_API_KEY_FILE: whoever calls needs a key of this file (`llamawire keys`); absent
    asks for none."""
    tls_cert: str = ""
    """LLAMAWIRE_TLS_CERT: the certificate and those above it, PEM; both doors then speak TLS."""
    tls_key: str = ""
    """LLAMAWIRE_TLS_KEY: its key, PEM."""
    tls_client_ca: str = ""
    """LLAMAWIRE_TLS_CLIENT_CA: only clients with a certificate of these are let in, PEM."""
    insecure: tuple[str, ...] = ()
    """LLAMAWIRE_INSECURE: what may be missing on an address that others can reach: `anonymous`
    (nobody is asked who he is), `plaintext` (nothing is encrypted)."""
    origins: tuple[str, ...] = ()
    """LLAMAWIRE_ORIGINS, OLLAMA_ORIGINS: web origins allowed besides the local ones."""
    keep_alive_s: float = 300.0
    """LLAMAWIRE_KEEP_ALIVE: how long an idle model stays loaded; infinite if negative."""
    load_timeout_s: float = 300.0
    """LLAMAWIRE_LOAD_TIMEOUT: a load that makes no progress for so long has failed."""
    heartbeat_timeout_s: float = 10.0
    """LLAMAWIRE_HEARTBEAT_TIMEOUT: a worker that stands still for so long is killed and replaced;
    at least 1 s, 0 for never."""
    load_hold_off_s: float = 60.0
    """LLAMAWIRE_LOAD_HOLD_OFF: how long a model is left alone whose loads crash."""
    num_parallel: int = 4
    """LLAMAWIRE_NUM_PARALLEL: streams of a model. Memory is num_ctx x streams."""
    max_loaded_models: int = 3
    """LLAMAWIRE_MAX_LOADED_MODELS: models in memory."""
    max_queue: int = 512
    """LLAMAWIRE_MAX_QUEUE: requests that may wait for models to load, and for the streams of each
    loaded model; at least 1."""
    context_length: int = 4096
    """LLAMAWIRE_CONTEXT_LENGTH: num_ctx where neither request nor model says."""
    kv_cache_type: str = "f16"
    """LLAMAWIRE_KV_CACHE_TYPE: f16, q8_0 or q4_0."""
    flash_attention: bool | None = None
    """LLAMAWIRE_FLASH_ATTENTION: absent lets llama.cpp choose."""
    prefill_budget_ms: int = 50
    """LLAMAWIRE_PREFILL_BUDGET_MS: prefill between two decode steps of the others."""
    reproducible: bool = False
    """LLAMAWIRE_REPRODUCIBLE: a seed gives the same text on this machine in any company and after a
    worker's crash, where a request does not say otherwise; rows share no calls. On CPUs only."""
    image_cache_bytes: int = 256 << 20
    """LLAMAWIRE_IMAGE_CACHE_BYTES: encoded images that a model keeps, so that one sent again is not
    computed again."""
    no_prune: bool = False
    """LLAMAWIRE_NOPRUNE: keep files that no model uses."""
    no_default_model: bool = False
    """LLAMAWIRE_NO_DEFAULT_MODEL: hide the models in the box."""
    message_bytes_max: int = 64 << 20
    """LLAMAWIRE_MESSAGE_BYTES: longest gRPC message and REST body; images travel in them."""
    grpc_streams_max: int = 1024
    """LLAMAWIRE_GRPC_STREAMS: requests at a time over gRPC."""
    rest_requests_max: int = 1024
    """LLAMAWIRE_REST_REQUESTS: requests at a time over REST."""
    connection_age_s: float = 3600.0
    """LLAMAWIRE_CONNECTION_AGE: gRPC connections older than this are asked to reconnect, so that
    clients spread over replicas."""
    read_ahead_tokens: int = 512
    """LLAMAWIRE_READ_AHEAD: tokens a slow reader may lie behind before its row is paused."""
    drain_timeout_s: float = 30.0
    """LLAMAWIRE_DRAIN_TIMEOUT: how long running requests may go on after SIGTERM."""
    spare_workers: int = 1
    """LLAMAWIRE_SPARE_WORKERS: worker processes kept ready without a model."""
    sandbox: str = "auto"
    """LLAMAWIRE_SANDBOX: `auto` shuts workers in as far as the kernel can, `require` starts none
    that is not shut in wholly, `off` leaves them be."""
    worker_memory_bytes: int = 0
    """LLAMAWIRE_WORKER_MEMORY_BYTES: most that a worker may allocate, mapped weights aside; 0 for
    the machine's memory, or no bound beside a GPU."""
    registry_mirrors: tuple[str, ...] = ()
    """LLAMAWIRE_REGISTRY_MIRROR: asked before a model's own registry when pulling. A list of
    `[HOST=]http(s)://[USER:PASSWORD@]MIRROR`; without HOST it is a mirror of registry.ollama.ai."""
    registry_token_hosts: tuple[str, ...] = ()
    """LLAMAWIRE_REGISTRY_TOKEN_HOSTS: hosts that may hand out tokens for registries elsewhere."""
    registry_key: Path = Path("~/.ollama/id_ed25519")
    """LLAMAWIRE_REGISTRY_KEY: the key that signs in at registries; made when first asked for."""
    max_transfer_streams: int = 4
    """LLAMAWIRE_MAX_TRANSFER_STREAMS: parts of one file that are fetched at a time."""
    transfer_part_bytes: int = 64 << 20
    """LLAMAWIRE_TRANSFER_PART_BYTES: smallest part of a file that is fetched or sent in parts."""
    transfer_attempts: int = 6
    """LLAMAWIRE_TRANSFER_ATTEMPTS: failures in a row, without a byte, that end a transfer."""
    transfer_stall_timeout_s: float = 30.0
    """LLAMAWIRE_TRANSFER_STALL_TIMEOUT: a connection without a byte for so long counts as cut."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """The settings that `environ` asks for; what it does not name keeps its default."""
        found: dict[str, Any] = {}
        for field, (names, parse) in VARIABLES.items():
            for name in names:
                text = environ.get(name, "").strip().strip("\"'")
                if not text:
                    continue
                try:
                    found[field] = parse(text)
                except ValueError as error:
                    log.warning("%s=%r is ignored: %s", name, text, error)
                    continue
                break
        settings = cls(**found)
        assert set(VARIABLES) == {field.name for field in fields(cls)}
        return settings


def parse_duration_s(text: str) -> float:
    """Go's duration (`1h30m`, `300ms`) or whole seconds, in seconds; negative is infinite."""
    if re.fullmatch(r"[+-]?\d+", text):
        seconds = float(text)
    else:
        sign = -1.0 if text.startswith("-") else 1.0
        body = text.lstrip("+-")
        parts = re.findall(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)", body)
        if not parts or "".join(number + unit for number, unit in parts) != body:
            raise ValueError("not a duration such as 5m or 300")
        seconds = sign * sum(float(number) * UNITS_S[unit] for number, unit in parts)
    return math.inf if seconds < 0 else seconds


def parse_bool(text: str) -> bool:
    """Go's ParseBool; any other text is true."""
    return text not in ("0", "f", "F", "false", "FALSE", "False")


def parse_count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError("not a whole number of 0 or more")
    return int(text)


def at_least_one(text: str) -> int:
    return max(1, parse_count(text))


def count_or(default: int) -> Callable[[str], int]:
    """0 asks for the default."""
    return lambda text: parse_count(text) or default


def timeout_s(text: str) -> float:
    """A limit in seconds; 0 or less is none."""
    return parse_duration_s(text) or math.inf


def heartbeat_timeout_s(text: str) -> float:
    """An idle loop beats twice a second, so less than a second is no sign of anything."""
    return max(timeout_s(text), 1.0)


def both(name: str) -> tuple[str, str]:
    return f"LLAMAWIRE_{name}", f"OLLAMA_{name}"


def ours(name: str) -> tuple[str]:
    return (f"LLAMAWIRE_{name}",)


def parse_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def parse_path(text: str) -> Path:
    return Path(text).expanduser()


def parse_sandbox(text: str) -> str:
    if text not in SANDBOX_MODES:
        raise ValueError(f"not one of {', '.join(SANDBOX_MODES)}")
    return text


def parse_mirrors(text: str) -> tuple[str, ...]:
    mirrors = parse_list(text)
    if not all(re.fullmatch(r"([^/=]+=)?https?://[^/].*", mirror) for mirror in mirrors):
        raise ValueError("not a list of [HOST=]http(s)://MIRROR")
    return mirrors


VARIABLES: dict[str, tuple[tuple[str, ...], Callable[[str], Any]]] = {
    "rest_address": (both("HOST"), str),
    "grpc_address": (ours("GRPC"), str),
    "models": (both("MODELS"), parse_path),
    "api_key_file": (ours("API_KEY_FILE"), parse_path),
    "tls_cert": (ours("TLS_CERT"), str),
    "tls_key": (ours("TLS_KEY"), str),
    "tls_client_ca": (ours("TLS_CLIENT_CA"), str),
    "insecure": (ours("INSECURE"), parse_list),
    "origins": (both("ORIGINS"), parse_list),
    "keep_alive_s": (both("KEEP_ALIVE"), parse_duration_s),
    "load_timeout_s": (both("LOAD_TIMEOUT"), timeout_s),
    "heartbeat_timeout_s": (ours("HEARTBEAT_TIMEOUT"), heartbeat_timeout_s),
    "load_hold_off_s": (ours("LOAD_HOLD_OFF"), parse_duration_s),
    "num_parallel": (both("NUM_PARALLEL"), at_least_one),
    "max_loaded_models": (both("MAX_LOADED_MODELS"), count_or(3)),
    "max_queue": (both("MAX_QUEUE"), at_least_one),
    "context_length": (both("CONTEXT_LENGTH"), count_or(4096)),
    "kv_cache_type": (both("KV_CACHE_TYPE"), str.lower),
    "flash_attention": (both("FLASH_ATTENTION"), parse_bool),
    "prefill_budget_ms": (ours("PREFILL_BUDGET_MS"), at_least_one),
    "reproducible": (ours("REPRODUCIBLE"), parse_bool),
    "image_cache_bytes": (ours("IMAGE_CACHE_BYTES"), parse_count),
    "no_prune": (both("NOPRUNE"), parse_bool),
    "no_default_model": (ours("NO_DEFAULT_MODEL"), parse_bool),
    "message_bytes_max": (ours("MESSAGE_BYTES"), at_least_one),
    "grpc_streams_max": (ours("GRPC_STREAMS"), at_least_one),
    "rest_requests_max": (ours("REST_REQUESTS"), at_least_one),
    "connection_age_s": (ours("CONNECTION_AGE"), timeout_s),
    "read_ahead_tokens": (ours("READ_AHEAD"), at_least_one),
    "drain_timeout_s": (ours("DRAIN_TIMEOUT"), parse_duration_s),
    "spare_workers": (ours("SPARE_WORKERS"), parse_count),
    "sandbox": (ours("SANDBOX"), parse_sandbox),
    "worker_memory_bytes": (ours("WORKER_MEMORY_BYTES"), parse_count),
    "registry_mirrors": (ours("REGISTRY_MIRROR"), parse_mirrors),
    "registry_token_hosts": (ours("REGISTRY_TOKEN_HOSTS"), parse_list),
    "registry_key": (ours("REGISTRY_KEY"), parse_path),
    "max_transfer_streams": (both("MAX_TRANSFER_STREAMS"), at_least_one),
    "transfer_part_bytes": (ours("TRANSFER_PART_BYTES"), at_least_one),
    "transfer_attempts": (ours("TRANSFER_ATTEMPTS"), at_least_one),
    "transfer_stall_timeout_s": (ours("TRANSFER_STALL_TIMEOUT"), timeout_s),
}
