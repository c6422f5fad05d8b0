"""Who this server is to a registry: an ed25519 key in OpenSSH's format, Ollama's very file.

Both servers then have one identity, and who has registered a key for the one may use the other.
The file is made when a registry asks for the first time; it never takes the place of another.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from llamawire.engine.store.registry import ed25519
from llamawire.engine.store.registry.errors import RegistryUnauthorized

__all__ = ["Identity", "KeyFile"]

KEY_TYPE = b"ssh-ed25519"
MAGIC = b"openssh-key-v1\0"
BEGIN = "-----BEGIN OPENSSH PRIVATE KEY-----"
END = "-----END OPENSSH PRIVATE KEY-----"
LINE_LENGTH = 70
BLOCK_BYTES = 8
KEY_BYTES_MAX = 64 << 10


@dataclass(frozen=True)
class Identity:
    """A key pair."""

    seed: bytes = field(repr=False)

    @property
    def public(self) -> str:
        """As the second field of a `.pub` file has it."""
        return base64.b64encode(_public_blob(self.seed)).decode()

    def authorization(self, text: str) -> str:
        """The header that goes with a request whose description is `text`."""
        signature = ed25519.sign(self.seed, text.encode())
        return f"{self.public}:{base64.b64encode(signature).decode()}"


class KeyFile:
    """The file of the private key. Blocking: call it in a thread."""

    def __init__(
        self, path: Path, random_bytes: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._path = path
        self._random_bytes = random_bytes

    def identity(self) -> Identity:
        """The key, made now if there is none.

        Raises RegistryUnauthorized if the file holds anything else, and OSError.
        """
        try:
            text = self._path.read_text("ascii", "replace")[:KEY_BYTES_MAX]
        except FileNotFoundError:
            self._create()
            text = self._path.read_text("ascii", "replace")
        try:
            return Identity(_decode(text))
        except (ValueError, struct.error, IndexError, binascii.Error) as error:
            raise RegistryUnauthorized(
                f"{self._path} is not an ed25519 key in OpenSSH's format without a passphrase"
            ) from error

    def _create(self) -> None:
        seed = self._random_bytes(32)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._place(self._path, _encode(seed, self._random_bytes(4)), 0o600):
            public = f"{KEY_TYPE.decode()} {Identity(seed).public}\n"
            self._place(self._path.with_name(self._path.name + ".pub"), public, 0o644)

    def _place(self, path: Path, text: str, mode: int) -> bool:
        """Puts a whole file in its place, unless one is there: false."""
        handle, temp = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "w") as file:
                os.fchmod(file.fileno(), mode)
                file.write(text)
            with contextlib.suppress(FileExistsError):
                os.link(temp, path)
                return True
            return False
        finally:
            os.unlink(temp)


def _public_blob(seed: bytes) -> bytes:
    return _string(KEY_TYPE) + _string(ed25519.public_key(seed))


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _encode(seed: bytes, check: bytes) -> str:
    pair = seed + ed25519.public_key(seed)
    private = check * 2 + _public_blob(seed) + _string(pair) + _string(b"")
    private += bytes(range(1, -len(private) % BLOCK_BYTES + 1))
    no_passphrase = _string(b"none") + _string(b"none") + _string(b"")
    keys = struct.pack(">I", 1) + _string(_public_blob(seed)) + _string(private)
    text = base64.b64encode(MAGIC + no_passphrase + keys).decode()
    lines = [text[at : at + LINE_LENGTH] for at in range(0, len(text), LINE_LENGTH)]
    return "\n".join([BEGIN, *lines, END, ""])


def _decode(text: str) -> bytes:
    """The seed in a key file. Raises ValueError, struct.error or IndexError for any other."""
    body = text[text.index(BEGIN) + len(BEGIN) : text.index(END)]
    data = base64.b64decode("".join(body.split()), validate=True)
    if not data.startswith(MAGIC):
        raise ValueError("not OpenSSH's format")
    reader = _Reader(data[len(MAGIC) :])
    if (reader.string(), reader.string(), reader.string()) != (b"none", b"none", b""):
        raise ValueError("the key has a passphrase")
    if reader.number() != 1:
        raise ValueError("more than one key")
    reader.string()
    private = _Reader(reader.string())
    if private.number() != private.number() or private.string() != KEY_TYPE:
        raise ValueError("another type of key")
    public, pair = private.string(), private.string()
    if len(pair) != 64 or pair[32:] != public or ed25519.public_key(pair[:32]) != public:
        raise ValueError("the two halves do not belong together")
    return pair[:32]


class _Reader:
    """Takes SSH's numbers and strings off some bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def number(self) -> int:
        (value,) = struct.unpack(">I", self._take(4))
        return int(value)

    def string(self) -> bytes:
        return self._take(self.number())

    def _take(self, count: int) -> bytes:
        if count > len(self._data):
            raise IndexError("the key ends early")
        taken, self._data = self._data[:count], self._data[count:]
        return taken
