"""Models from and to registries: Ollama's, Hugging Face's, and any that speaks OCI's protocol.

`Registry` is the way in. From the inside out: `http` sends requests, `auth` signs in, `client`
knows what there is to ask; `partial` is a download on the disk, `download` and `upload` move one
file, `downloads` lets callers share; `pull` and `push` move a model.
"""

from llamawire.engine.store.registry.endpoint import Credentials
from llamawire.engine.store.registry.errors import (
    DiskFull,
    DownloadCorrupt,
    NotInRegistry,
    RegistryError,
    RegistryMisbehaved,
    RegistryRefused,
    RegistryUnauthorized,
    RegistryUnreachable,
)
from llamawire.engine.store.registry.limits import TransferLimits
from llamawire.engine.store.registry.registry import Registry, RegistrySettings

__all__ = [
    "Credentials",
    "DiskFull",
    "DownloadCorrupt",
    "NotInRegistry",
    "Registry",
    "RegistryError",
    "RegistryMisbehaved",
    "RegistryRefused",
    "RegistrySettings",
    "RegistryUnauthorized",
    "RegistryUnreachable",
    "TransferLimits",
]
