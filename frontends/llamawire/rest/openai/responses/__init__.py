"""POST /v1/responses: OpenAI's younger dress of a chat. Nothing is kept from one to the next."""

from .form import ResponseForm
from .request import ResponseBody, read_response_request

__all__ = ["ResponseBody", "ResponseForm", "read_response_request"]
