"""Who may do what: API keys, their scopes, models and quotas. Knows neither gRPC nor HTTP."""

from llamawire.engine.access.bucket import Bucket
from llamawire.engine.access.caller import Caller
from llamawire.engine.access.key import SCOPES, Key, new_key
from llamawire.engine.access.key_file import KeyFile, KeyFileError
from llamawire.engine.access.keyring import Keyring

__all__ = [
    "SCOPES",
    "Bucket",
    "Caller",
    "Key",
    "KeyFile",
    "KeyFileError",
    "Keyring",
    "new_key",
]
