"""One repository of a registry: what there is to ask, and what the answers mean."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping

from yarl import URL

from llamawire.engine.store.manifest import MANIFEST
from llamawire.engine.store.manifests import MANIFEST_BYTES_MAX
from llamawire.engine.store.registry.auth import Auth
from llamawire.engine.store.registry.challenge import parse_challenge
from llamawire.engine.store.registry.endpoint import Endpoint, same_host
from llamawire.engine.store.registry.errors import (
    NotInRegistry,
    RegistryMisbehaved,
    RegistryRefused,
    RegistryUnauthorized,
    RegistryUnreachable,
)
from llamawire.engine.store.registry.http import Body, Http, Response, check, discard, text_of

__all__ = ["RegistryClient"]

REDIRECTS_MAX = 10
REDIRECTS = (301, 302, 303, 307, 308)


class RegistryClient:
    """Asks one endpoint about one repository; as long-lived as one pull or push."""

    def __init__(self, http: Http, endpoint: Endpoint, repository: URL, auth: Auth) -> None:
        self.repository = repository
        self._http = http
        self._endpoint = endpoint
        self._auth = auth

    async def manifest(self, tag: str) -> bytes:
        """The manifest's very bytes. Raises RegistryError."""
        url = self._url(f"manifests/{tag}")
        async with self._fetched("GET", url, {"Accept": MANIFEST}) as response:
            await check(response)
            data = await text_of(response, MANIFEST_BYTES_MAX + 1)
        if len(data) > MANIFEST_BYTES_MAX:
            raise RegistryMisbehaved(f"the manifest is larger than {MANIFEST_BYTES_MAX} bytes")
        return data

    async def put_manifest(self, tag: str, data: bytes, media_type: str) -> None:
        url = self._url(f"manifests/{tag}")
        headers = {"Content-Type": media_type}
        async with self.sent("PUT", url, headers=headers, body=lambda: data) as response:
            await check(response)

    async def blob_size(self, digest: str) -> int | None:
        """The size that the registry tells; None if it has no such blob, 0 if it does not say."""
        async with self._fetched("HEAD", self._blob_url(digest), {}) as response:
            try:
                await check(response)
            except NotInRegistry:
                return None
            return response.content_length or 0

    @contextlib.asynccontextmanager
    async def blob(self, digest: str, first: int, last: int) -> AsyncIterator[Response]:
        """The answer to a request for the bytes from `first` to `last`: 200 or 206.

        Every request begins at the registry: where it redirects to may be good for minutes only.
        """
        url = self._blob_url(digest)
        headers = {"Range": f"bytes={first}-{last}"}
        wanted_bytes = last + 1 - first
        async with self._fetched("GET", url, headers, wanted_bytes) as response:
            try:
                await check(response)
            except (RegistryRefused, NotInRegistry) as error:
                if same_host(response.url, self._endpoint.url):
                    raise
                # The registry knows the blob; it is the storage that does not, for the moment.
                raise RegistryUnreachable(f"{response.url.host}: {error}") from error
            if response.status not in (200, 206):
                raise RegistryMisbehaved(f"unexpected status code {response.status}")
            yield response

    async def start_upload(self, digest: str, mount_from: str) -> URL | None:
        """Where to send the blob to; None if it could be taken over from `mount_from`."""
        url = self._url("blobs/uploads/")
        if mount_from:
            url = url.with_query({"mount": digest, "from": mount_from})
        async with self.sent("POST", url, body=lambda: b"") as response:
            await check(response)
            return None if response.status == 201 else upload_location(response)

    @contextlib.asynccontextmanager
    async def sent(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str] | None = None,
        body: Callable[[], Body] | None = None,
        answer_timeout_s: float | None = None,
        wanted_bytes: int = 0,
    ) -> AsyncIterator[Response]:
        """One request and its answer, whatever it is; signs in if that is asked for, once.

        `body` makes the body anew for each of the two. Raises RegistryError.
        """
        for is_last in (False, True):
            is_own = same_host(url, self._endpoint.url)
            authorization = self._auth.header if is_own else None
            response = await self._http.send(
                method,
                url,
                headers={**(headers or {}), **_authorization(authorization)},
                body=body() if body else None,
                verify_tls=self._endpoint.verify_tls,
                answer_timeout_s=answer_timeout_s,
                wanted_bytes=wanted_bytes,
            )
            try:
                if response.status != 401 or not is_own:
                    yield response
                    return
                if is_last:
                    raise RegistryUnauthorized
                challenge = parse_challenge(response.headers.getall("WWW-Authenticate", []))
            finally:
                await discard(response)
            await self._auth.answer(challenge, authorization)

    @contextlib.asynccontextmanager
    async def _fetched(
        self, method: str, url: URL, headers: Mapping[str, str], wanted_bytes: int = 0
    ) -> AsyncIterator[Response]:
        """Follows redirects; what is confidential stays on the registry's own host."""
        for _ in range(REDIRECTS_MAX + 1):
            sending = self.sent(method, url, headers=headers, wanted_bytes=wanted_bytes)
            async with sending as response:
                if response.status not in REDIRECTS:
                    yield response
                    return
                url = self.redirected(response)
        raise RegistryMisbehaved(f"maximum redirects exceeded ({REDIRECTS_MAX}) for directURL")

    def redirected(self, response: Response) -> URL:
        """Where a redirect leads. Raises RegistryMisbehaved if nobody should follow it."""
        url = location(response, "Location")
        if url is None:
            raise RegistryMisbehaved("http: no Location header in response")
        if url.scheme not in ("http", "https") or not url.host:
            raise RegistryMisbehaved(f'redirect to "{url}", which is no address of a file')
        is_weaker = url.scheme == "http" and response.url.scheme == "https"
        if is_weaker and self._endpoint.verify_tls:
            raise RegistryMisbehaved(f"redirect from https to http, to {url.host}")
        return url

    def _blob_url(self, digest: str) -> URL:
        return self._url(f"blobs/{digest}")

    def _url(self, path: str) -> URL:
        return self.repository.with_path(f"{self.repository.raw_path}/{path}", encoded=True)


def location(response: Response, header: str) -> URL | None:
    """The address in a header, which may be relative. It is not quoted again: it may be signed.

    Raises RegistryMisbehaved.
    """
    text = response.headers.get(header)
    if text is None:
        return None
    try:
        url = response.url.join(URL(text, encoded=True))
        # These look at the scheme, the port, and the letters of the host.
        url.origin(), url.host
    except ValueError as error:
        raise RegistryMisbehaved(f"{header} {text!r} is not an address of a file") from error
    return url


def upload_location(response: Response) -> URL:
    """Where an upload goes on. Raises RegistryMisbehaved."""
    url = location(response, "Docker-Upload-Location") or location(response, "Location")
    if url is None:
        raise RegistryMisbehaved("http: no Location header in response")
    return url


def _authorization(header: str | None) -> dict[str, str]:
    return {} if header is None else {"Authorization": header}
