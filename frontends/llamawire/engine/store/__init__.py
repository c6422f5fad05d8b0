"""The model store: names, blobs, manifests, GGUF headers, and the models that they make up.

Everything is synchronous and may be called from any thread; asyncio calls it through
`asyncio.to_thread`. On disk it is Ollama's format, and an Ollama may use the same folder.
"""

from llamawire.engine.store.blobs import Blob, Blobs, BlobWriter, normalize_digest
from llamawire.engine.store.box import Box
from llamawire.engine.store.capabilities import TemplateCapabilities, TemplateChoice
from llamawire.engine.store.chat_template import ChatTemplate, DetectTemplate, NamedTemplate
from llamawire.engine.store.create import CheckTemplate, create
from llamawire.engine.store.create_quantize import Quantize
from llamawire.engine.store.create_request import CreateRequest, Progress
from llamawire.engine.store.errors import (
    BlobNotFound,
    CorruptManifest,
    CreateError,
    DigestMismatch,
    InvalidDigest,
    InvalidGguf,
    InvalidName,
    ModelNotFound,
    StoreBusy,
    StoreError,
    StoreReadOnly,
)
from llamawire.engine.store.gguf import (
    Gguf,
    GgufArray,
    GgufValue,
    TensorInfo,
    check_adapter_suits,
    human_count,
    read_gguf,
    validate_gguf,
)
from llamawire.engine.store.library import Library
from llamawire.engine.store.manifest import ConfigBlob, Layer, Manifest
from llamawire.engine.store.message import Message
from llamawire.engine.store.model import Details, ListedModel, StoredModel
from llamawire.engine.store.names import ModelName, SourceName, parse_source
from llamawire.engine.store.show import ListValue, MetadataValue, Scalar, ShownModel, show

__all__ = [
    "Blob",
    "BlobNotFound",
    "BlobWriter",
    "Blobs",
    "Box",
    "ChatTemplate",
    "CheckTemplate",
    "ConfigBlob",
    "CorruptManifest",
    "CreateError",
    "CreateRequest",
    "Details",
    "DetectTemplate",
    "DigestMismatch",
    "Gguf",
    "GgufArray",
    "GgufValue",
    "InvalidDigest",
    "InvalidGguf",
    "InvalidName",
    "Layer",
    "Library",
    "ListValue",
    "ListedModel",
    "Manifest",
    "Message",
    "MetadataValue",
    "ModelName",
    "ModelNotFound",
    "NamedTemplate",
    "Progress",
    "Quantize",
    "Scalar",
    "ShownModel",
    "SourceName",
    "StoreBusy",
    "StoreError",
    "StoreReadOnly",
    "StoredModel",
    "TemplateCapabilities",
    "TemplateChoice",
    "TensorInfo",
    "check_adapter_suits",
    "create",
    "human_count",
    "normalize_digest",
    "parse_source",
    "read_gguf",
    "show",
    "validate_gguf",
]
