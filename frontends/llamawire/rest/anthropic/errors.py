"""The shape of Anthropic's errors."""

from __future__ import annotations

import secrets

from aiohttp import web

from .. import dialect
from ..errors import RestError
from ..gojson import DecodeError

__all__ = ["error_object", "error_response", "new_id"]

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
}


def new_id(prefix: str) -> str:
    """Of a message or a request: 24 hex digits behind the prefix."""
    return f"{prefix}_{secrets.token_hex(12)}"


def error_object(status: int, message: str) -> dict[str, object]:
    error = {"type": _TYPES.get(status, "api_error"), "message": message}
    return {"type": "error", "error": error, "request_id": new_id("req")}


def error_response(error: RestError | DecodeError) -> web.Response:
    return dialect.error_response(error, error_object)
