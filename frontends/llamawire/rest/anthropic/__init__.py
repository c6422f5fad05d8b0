"""Anthropic's Messages API, as far as Ollama speaks it: another dress of a chat."""

from .errors import error_response
from .handlers import AnthropicHandlers

__all__ = ["AnthropicHandlers", "error_response"]
