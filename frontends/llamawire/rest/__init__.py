"""The Ollama REST API over the llamawire gRPC API."""

from .address import Address, parse_address
from .app import create_app
from .cors import parse_origins
from .serving import ListenError, Serving, serve_app
from .settings import RestSettings
from .stubs import GenerationStub, MessageStream, ModelStub, ServerStub, Stubs, from_channel

__all__ = [
    "Address",
    "GenerationStub",
    "ListenError",
    "MessageStream",
    "ModelStub",
    "RestSettings",
    "ServerStub",
    "Serving",
    "Stubs",
    "create_app",
    "from_channel",
    "parse_address",
    "parse_origins",
    "serve_app",
]
