"""The shape of OpenAI's errors."""

from __future__ import annotations

from aiohttp import web

from ..errors import RestError
from ..gojson import DecodeError, encode
from ..ndjson import JSON, JSON_UTF8

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
    """What the translation finds wrong is told a little differently from what the model's handler
    does: by the type of the content and the newline."""
    if isinstance(error, DecodeError):
        body = encode(error_object(400, str(error)))
        return web.Response(body=body, status=400, headers={"Content-Type": JSON_UTF8})
    body = encode(error_object(error.status, error.text)) + b"\n"
    headers = {"Content-Type": JSON, **error.headers}
    return web.Response(body=body, status=error.status, headers=headers)
