"""The Ollama REST API over the llamawire gRPC API."""

from .address import Address, parse_address
from .app import create_app
from .cors import parse_origins
from .exposure import ANONYMOUS, INSECURE, PLAINTEXT, check_exposure
from .serving import ListenError, Serving, serve_app
from .settings import RestSettings
from .stubs import GenerationStub, MessageStream, ModelStub, ServerStub, Stubs, from_channel
from .tls import TlsError, TlsFiles, server_context

__all__ = [
    "ANONYMOUS",
    "INSECURE",
    "PLAINTEXT",
    "Address",
    "GenerationStub",
    "ListenError",
    "MessageStream",
    "ModelStub",
    "RestSettings",
    "ServerStub",
    "Serving",
    "Stubs",
    "TlsError",
    "TlsFiles",
    "check_exposure",
    "create_app",
    "from_channel",
    "parse_address",
    "parse_origins",
    "serve_app",
    "server_context",
]
