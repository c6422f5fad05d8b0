"""The shape of OpenAI's errors."""

from __future__ import annotations

from aiohttp import web

from .. import dialect
from ..errors import RestError
from ..gojson import DecodeError

__all__ = ["error_object", "error_response"]

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def error_object(status: int, message: str) -> dict[str, object]:
    type_ = _TYPES.get(status, "api_error")
    return {"error": {"message": message, "type": type_, "param": None, "code": None}}


def error_response(error: RestError | DecodeError) -> web.Response:
    return dialect.error_response(error, error_object)
