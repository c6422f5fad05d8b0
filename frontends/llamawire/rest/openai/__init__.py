"""The OpenAI API, as far as Ollama speaks it: another dress of the same questions and answers."""

from .embedding import EmbeddingHandlers
from .errors import error_response
from .handlers import OpenAIHandlers

__all__ = ["EmbeddingHandlers", "OpenAIHandlers", "error_response"]
