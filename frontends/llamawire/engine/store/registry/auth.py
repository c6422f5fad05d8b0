"""Signing in: from a registry's challenge to the header that satisfies it.

What may be said to whom: a password and the key's signature go to the registry's own host, over
nothing weaker than the registry is spoken to. A token service elsewhere is refused, unless the
operator has named its host; it then gets the password, if there is one, and never the signature.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass

from yarl import URL

from llamawire.engine.store.registry.challenge import Challenge
from llamawire.engine.store.registry.endpoint import Endpoint
from llamawire.engine.store.registry.errors import (
    NotInRegistry,
    RegistryMisbehaved,
    RegistryRefused,
    RegistryUnauthorized,
)
from llamawire.engine.store.registry.http import Http, check, discard, text_of
from llamawire.engine.store.registry.identity import KeyFile

__all__ = ["Auth", "SignIn", "read_token", "signed_text"]

NONCE_BYTES = 16
TOKEN_BYTES_MAX = 64 << 10
EMPTY_BODY = base64.b64encode(hashlib.sha256(b"").hexdigest().encode()).decode()


@dataclass(frozen=True)
class SignIn:
    """What every sign-in of this server needs. `token_hosts` are lower-case `host[:port]`."""

    key_file: KeyFile
    token_hosts: frozenset[str] = frozenset()
    clock: Callable[[], float] = time.time
    random_bytes: Callable[[int], bytes] = secrets.token_bytes


class Auth:
    """Who we are to one endpoint, during one pull or push. `header` is what to send, if anything.

    Many requests may fail at once; one of them signs in, and the others take its token.
    """

    def __init__(self, http: Http, endpoint: Endpoint, sign_in: SignIn) -> None:
        self._http = http
        self._endpoint = endpoint
        self._sign_in = sign_in
        self._lock = asyncio.Lock()
        self.header: str | None = None

    async def answer(self, challenge: Challenge, sent: str | None) -> None:
        """Finds a new `header` after a request with the header `sent` got this challenge.

        Raises RegistryUnauthorized if there is nothing more to try, and RegistryError.
        """
        async with self._lock:
            if self.header != sent:
                return
            if challenge.scheme == "basic":
                self.header = self._password(sent)
            elif challenge.scheme == "bearer":
                self.header = f"Bearer {await self._token(challenge)}"
            else:
                raise RegistryUnauthorized

    def _password(self, sent: str | None) -> str:
        if self._endpoint.credentials is None:
            raise RegistryUnauthorized(
                "unauthorized: access denied; the registry asks for a user name and a password"
            )
        header = self._endpoint.credentials.basic
        if header == sent:
            raise RegistryUnauthorized
        return header

    async def _token(self, challenge: Challenge) -> str:
        url, is_signed = self._token_request(challenge)
        credentials = self._endpoint.credentials
        headers = {}
        if credentials is not None:
            headers["Authorization"] = credentials.basic
        elif is_signed:
            identity = await asyncio.to_thread(self._sign_in.key_file.identity)
            signing = asyncio.to_thread(identity.authorization, signed_text("GET", url))
            headers["Authorization"] = await signing
        response = await self._http.send(
            "GET", URL(url, encoded=True), headers=headers, verify_tls=self._endpoint.verify_tls
        )
        try:
            await check(response)
            return read_token(await text_of(response, TOKEN_BYTES_MAX))
        except NotInRegistry as error:
            place = URL(url, encoded=True).with_query(None)
            raise RegistryUnauthorized(f"no token service at {place}") from error
        except RegistryRefused as error:
            if error.status in (401, 403):
                raise RegistryUnauthorized(f"unauthorized: {error}") from error
            raise
        finally:
            await discard(response)

    def _token_request(self, challenge: Challenge) -> tuple[str, bool]:
        """Where to ask for a token, and whether the key signs that. Raises RegistryUnauthorized."""
        try:
            realm = URL(challenge.realm, encoded=True)
            is_signed = self._check_realm(realm) and self._endpoint.credentials is None
            return self._token_url(realm, challenge, is_signed), is_signed
        except ValueError as error:
            text = f"realm {challenge.realm!r} is not an address"
            raise RegistryUnauthorized(text) from error

    def _check_realm(self, realm: URL) -> bool:
        """Whether the token service is the registry's own. Raises RegistryUnauthorized."""
        own = self._endpoint.url
        if realm.scheme == "http" and own.scheme == "https":
            raise RegistryUnauthorized(f"realm {str(realm)!r} is not https, as the registry is")
        if realm.raw_authority.lower() == own.raw_authority.lower():
            return True
        if realm.raw_authority.lower() in self._sign_in.token_hosts and realm.host:
            return False
        raise RegistryUnauthorized(
            f'realm host "{realm.raw_authority}" does not match original host "{own.raw_authority}"'
        )

    def _token_url(self, realm: URL, challenge: Challenge, is_signed: bool) -> str:
        query = list(urllib.parse.parse_qsl(realm.raw_query_string, keep_blank_values=True))
        query.append(("service", challenge.service))
        query.extend(("scope", scope) for scope in challenge.scopes)
        if is_signed:
            nonce = base64.urlsafe_b64encode(self._sign_in.random_bytes(NONCE_BYTES))
            query.append(("ts", str(int(self._sign_in.clock()))))
            query.append(("nonce", nonce.decode().rstrip("=")))
        # Sorted by key alone: several scopes keep their order.
        query.sort(key=lambda pair: pair[0])
        return str(realm.with_query(None)) + "?" + urllib.parse.urlencode(query)


def signed_text(method: str, url: str) -> str:
    """What is signed for a request without a body."""
    return f"{method},{url},{EMPTY_BODY}"


def read_token(data: bytes) -> str:
    """The token in a token service's answer. Raises RegistryMisbehaved."""
    try:
        answer = json.loads(data)
        token = answer.get("token") or answer.get("access_token")
    except (ValueError, AttributeError, RecursionError) as error:
        raise RegistryMisbehaved("the token service's answer is not a JSON object") from error
    # Anything else could not stand in a header, or would end it.
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise RegistryMisbehaved("the token service's answer has no token")
    return token
