"""The daemon: the one place where the parts are put together."""

from __future__ import annotations

import asyncio
import functools
import importlib.metadata
import logging
import os
import platform
import signal
from dataclasses import replace
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from llamawire.engine.access import KeyFile, Keyring
from llamawire.engine.build import build_id
from llamawire.engine.catalog import Catalog, ServedModel
from llamawire.engine.completion import Completions
from llamawire.engine.embeddings import Embeddings
from llamawire.engine.metrics import Level, Metrics
from llamawire.engine.quantizer import quantize
from llamawire.engine.rpc.embedding import EmbeddingServicer
from llamawire.engine.rpc.generation import GenerationServicer
from llamawire.engine.rpc.guard import Guard, KeyCheck
from llamawire.engine.rpc.health import HealthServicer
from llamawire.engine.rpc.limit import CallLimit
from llamawire.engine.rpc.local import local_stub
from llamawire.engine.rpc.models import ModelServicer
from llamawire.engine.rpc.readable import ReadableRequests
from llamawire.engine.rpc.server import ServerServicer
from llamawire.engine.runner import Keeper, LoadSettings, Runner
from llamawire.engine.sandbox import Sandbox
from llamawire.engine.scheduler import Scheduler
from llamawire.engine.settings import Settings
from llamawire.engine.store import Box, Library, ModelName, StoreError
from llamawire.engine.store.registry import Registry, RegistrySettings, TransferLimits
from llamawire.engine.templates import template_capabilities
from llamawire.engine.tls import grpc_credentials
from llamawire.engine.worker_process import WorkerPool
from llamawire.rest import (
    ANONYMOUS,
    PLAINTEXT,
    Address,
    ListenError,
    RestSettings,
    Serving,
    Stubs,
    TlsFiles,
    check_exposure,
    create_app,
    parse_address,
    serve_app,
    server_context,
)
from llamawire.v1 import (
    embedding_service_pb2,
    embedding_service_pb2_grpc,
    generation_service_pb2,
    generation_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
    server_service_pb2,
    server_service_pb2_grpc,
)

__all__ = ["Server"]

log = logging.getLogger(__name__)

GRPC_PORT = 11435
LAST_WORDS_S = 2.0
"""For requests to write their end, after they have been ended."""
REFUSALS_MAX = 4096
"""Calls beyond the limit that are being refused; more than these, gRPC refuses without details."""

EMBEDDING = embedding_service_pb2.DESCRIPTOR.services_by_name["EmbeddingService"]
GENERATION = generation_service_pb2.DESCRIPTOR.services_by_name["GenerationService"]
MODELS = model_service_pb2.DESCRIPTOR.services_by_name["ModelService"]
SERVER = server_service_pb2.DESCRIPTOR.services_by_name["ServerService"]
HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"]


class Server:
    """REST and gRPC over one engine. `start`, then `wait`, then `stop`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._library = open_library(settings)
        version = importlib.metadata.version("llamawire")
        self._registry = Registry(self._library, registry_settings(settings, version))
        sandbox = Sandbox(settings.sandbox, settings.worker_memory_bytes)
        self._pool = WorkerPool(settings.spare_workers, sandbox)
        self._build_id = build_id()
        catalog = Catalog(self._library)
        self._scheduler = Scheduler(
            settings,
            self._make_runner,
            check_files=catalog.check_files,
            on_serving=self._on_serving,
        )
        self._metrics = Metrics(self._levels)
        completions = Completions(catalog, self._scheduler, settings, self._metrics)
        self._completions = completions
        self._health = HealthServicer(display_name)
        self._generation = GenerationServicer(completions)
        self._embedding = EmbeddingServicer(
            Embeddings(catalog, self._scheduler, settings, self._metrics)
        )
        self._models = ModelServicer(
            self._library,
            self._registry,
            catalog,
            self._scheduler,
            completions,
            self._on_models_change,
            functools.partial(quantize, sandbox=sandbox),
        )
        self._server = ServerServicer(version, self._metrics)
        self._guard = open_guard(settings)
        self._tls = TlsFiles.of(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
        self._grpc: grpc.aio.Server | None = None
        self._grpc_address = Address("", 0)
        self._rest: Serving | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listens on both addresses; ListenError says what is in the way."""
        self._check_exposure()
        self._pool.prepare()
        await asyncio.to_thread(self._library.remove_abandoned)
        await asyncio.to_thread(self._library.rename_old_blobs)
        if not self.settings.no_prune:
            await asyncio.to_thread(self._library.prune)
        await self._on_models_change()
        await self._start_grpc()
        await self._start_rest()
        assert self._rest is not None
        rest_address = Address(self._rest.host, self._rest.port)
        scheme = "https" if self._tls else "http"
        log.info("REST on %s://%s, gRPC on %s", scheme, rest_address, self._grpc_address)

    async def stop(self) -> None:
        """Refuses new requests, lets running ones end within the drain's time, then ends them."""
        await self._health.drain()
        await self._scheduler.drain(self.settings.drain_timeout_s)
        # What still runs ends with a status, for which the connections are needed.
        await self._scheduler.close()
        if self._rest is not None:
            await self._rest.close()
        if self._grpc is not None:
            await self._grpc.stop(grace=LAST_WORDS_S)
        self._completions.close()
        await self._registry.close()
        await self._pool.close()

    def abandon(self) -> None:
        """Leaves nothing on the disk; whoever calls it ends the process."""
        self._pool.abandon()

    def _make_runner(
        self,
        model: ServedModel,
        settings: LoadSettings,
        keeper: Keeper,
    ) -> Runner:
        return Runner(
            model.name.display,
            settings,
            self._pool,
            build_id=self._build_id,
            load_timeout_s=self.settings.load_timeout_s,
            heartbeat_timeout_s=self.settings.heartbeat_timeout_s,
            read_ahead_tokens=self.settings.read_ahead_tokens,
            keeper=keeper,
            on_death=self._metrics.worker_deaths.labels(model.name.display).inc,
        )

    def _levels(self) -> list[Level]:
        return [
            Level(
                model=each.model.name.display,
                requests=each.requests,
                streams=each.num_parallel,
                bytes=each.size_bytes,
            )
            for each in self._scheduler.loaded()
        ]

    def _check_exposure(self) -> None:
        asks = self._guard is not None or (self._tls and self._tls.client_ca)
        missing = [what for what, there in ((ANONYMOUS, asks), (PLAINTEXT, self._tls)) if not there]
        allowed = self.settings.insecure
        rest, grpc_ = self.settings.rest_address, self.settings.grpc_address
        check_exposure("REST", parse_address(rest), missing, allowed)
        check_exposure("gRPC", parse_address(grpc_, GRPC_PORT), missing, allowed)

    async def _start_grpc(self) -> None:
        guards = [CallLimit(self.settings.grpc_streams_max), ReadableRequests()]
        server = grpc.aio.server(
            options=grpc_options(self.settings),
            interceptors=guards if self._guard is None else [KeyCheck(self._guard), *guards],
            maximum_concurrent_rpcs=self.settings.grpc_streams_max + REFUSALS_MAX,
        )
        generation_service_pb2_grpc.add_GenerationServiceServicer_to_server(
            self._generation, server
        )
        embedding_service_pb2_grpc.add_EmbeddingServiceServicer_to_server(self._embedding, server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(self._models, server)
        server_service_pb2_grpc.add_ServerServiceServicer_to_server(self._server, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = [service.full_name for service in (GENERATION, EMBEDDING, MODELS, SERVER, HEALTH)]
        reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server)
        address = parse_address(self.settings.grpc_address, GRPC_PORT)
        try:
            place = str(replace(address, host=address.host or "::"))
            if self._tls is None:
                port = server.add_insecure_port(place)
            else:
                port = server.add_secure_port(place, grpc_credentials(self._tls))
        except RuntimeError as error:
            raise ListenError(f"gRPC cannot listen on {address} (LLAMAWIRE_GRPC)") from error
        self._grpc_address = replace(address, port=port)
        await server.start()
        self._grpc = server

    async def _start_rest(self) -> None:
        stubs = Stubs(
            generation=local_stub(self._generation, GENERATION, self._guard),
            models=local_stub(self._models, MODELS, self._guard),
            embedding=local_stub(self._embedding, EMBEDDING, self._guard),
            server=local_stub(self._server, SERVER, self._guard),
            health=local_stub(self._health, HEALTH),
        )
        address = parse_address(self.settings.rest_address)
        app = create_app(
            stubs,
            RestSettings(
                origins=self.settings.origins,
                body_bytes_max=self.settings.message_bytes_max,
                requests_max=self.settings.rest_requests_max,
                shutdown_timeout_s=LAST_WORDS_S,
            ),
        )
        context = server_context(self._tls) if self._tls else None
        self._rest = await serve_app(app, address.host, address.port, context)

    async def _on_models_change(self) -> None:
        models = await asyncio.to_thread(self._library.list)
        await self._health.set_models(model.name.display for model in models)

    def _on_serving(self, model: ServedModel, serving: bool) -> None:
        task = asyncio.create_task(self._health.set_serving(model.name.display, serving))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT; a second signal ends at once."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stopping.is_set():
            log.warning("second signal: ending at once")
            server.abandon()
            os._exit(1)  # threads that hash or copy would hold up any other end
        stopping.set()

    server = Server(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    await server.start()
    await stopping.wait()
    log.info("stopping; running requests have %g s", settings.drain_timeout_s)
    await server.stop()


def open_library(settings: Settings) -> Library:
    box = None if settings.no_default_model else Box.open(box_folder())
    return Library(
        settings.models.expanduser(),
        box,
        template_capabilities=template_capabilities,
        prune_replaced=not settings.no_prune,
    )


def open_guard(settings: Settings) -> Guard | None:
    """None where everybody is let in; KeyFileError for a file that cannot be read."""
    if settings.api_key_file is None:
        return None
    return Guard(Keyring(KeyFile(settings.api_key_file)))


def registry_settings(settings: Settings, version: str) -> RegistrySettings:
    return RegistrySettings(
        mirrors=settings.registry_mirrors,
        token_hosts=settings.registry_token_hosts,
        key_file=settings.registry_key,
        user_agent=f"llamawire/{version} ({platform.machine()} {platform.system().lower()})",
        limits=TransferLimits(
            streams=settings.max_transfer_streams,
            part_bytes_min=settings.transfer_part_bytes,
            attempts=settings.transfer_attempts,
            stall_timeout_s=settings.transfer_stall_timeout_s,
        ),
    )


def box_folder() -> Path:
    """The models in the box: inside the installed package, or in a checkout's models/tiny."""
    here = Path(__file__).resolve()
    installed = here.parent / "box"
    return installed if installed.exists() else here.parents[3] / "models" / "tiny"


def display_name(text: str) -> str:
    """The shortest form of a model's name; the text itself if it is none."""
    try:
        return ModelName.parse(text).display
    except StoreError:
        return text


def grpc_options(settings: Settings) -> list[tuple[str, int]]:
    age_ms = min(settings.connection_age_s * 1000, 2**31 - 1)
    return [
        ("grpc.max_receive_message_length", settings.message_bytes_max),
        ("grpc.max_send_message_length", settings.message_bytes_max),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.max_connection_age_ms", int(age_ms)),
        # A stream that runs when its connection is old may end in its own time.
        ("grpc.max_connection_age_grace_ms", 2**31 - 1),
        ("grpc.so_reuseport", 0),
    ]
