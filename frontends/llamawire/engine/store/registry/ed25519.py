"""Ed25519 signatures (RFC 8032), for the one signature that a pull from a registry may need.

It is written out here because nothing else in llamawire needs cryptography, and a library for it
would be the largest dependency of all. Every scalar takes the same 256 steps, so that how long a
signature takes says nothing of the length of its nonce; Python's integers promise no more than
that, which is why the key is used for signing in at registries and for nothing else.
"""

from __future__ import annotations

import hashlib

__all__ = ["public_key", "sign"]

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
CURVE_D = -121665 * pow(121666, -1, PRIME) % PRIME
SCALAR_BITS = 256

# A point of the curve in extended coordinates: x = X/Z, y = Y/Z, x*y = T/Z.
Point = tuple[int, int, int, int]

BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
BASE_Y = 4 * pow(5, -1, PRIME) % PRIME
BASE: Point = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % PRIME)
NEUTRAL: Point = (0, 1, 1, 0)


def public_key(seed: bytes) -> bytes:
    """The 32 bytes that belong to the 32 bytes of a private key."""
    scalar, _ = _expand(seed)
    return _encode(_multiply(scalar, BASE))


def sign(seed: bytes, message: bytes) -> bytes:
    """The 64 bytes of the signature."""
    scalar, prefix = _expand(seed)
    nonce = _hash(prefix, message)
    point = _encode(_multiply(nonce, BASE))
    challenge = _hash(point, public_key(seed), message)
    return point + ((nonce + challenge * scalar) % ORDER).to_bytes(32, "little")


def _expand(seed: bytes) -> tuple[int, bytes]:
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little")
    return scalar & ((1 << 254) - 8) | (1 << 254), digest[32:]


def _hash(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % ORDER


def _add(p: Point, q: Point) -> Point:
    a = (p[1] - p[0]) * (q[1] - q[0]) % PRIME
    b = (p[1] + p[0]) * (q[1] + q[0]) % PRIME
    c = 2 * p[3] * q[3] * CURVE_D % PRIME
    d = 2 * p[2] * q[2] % PRIME
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % PRIME, g * h % PRIME, f * g % PRIME, e * h % PRIME)


def _multiply(scalar: int, point: Point) -> Point:
    result = NEUTRAL
    for bit in range(SCALAR_BITS - 1, -1, -1):
        result = _add(result, result)
        choices = (result, _add(result, point))
        result = choices[scalar >> bit & 1]
    return result


def _encode(point: Point) -> bytes:
    inverse = pow(point[2], -1, PRIME)
    x, y = point[0] * inverse % PRIME, point[1] * inverse % PRIME
    return (y | (x & 1) << 255).to_bytes(32, "little")
