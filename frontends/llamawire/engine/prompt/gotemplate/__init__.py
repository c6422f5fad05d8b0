"""Go's template language: text → words (lexer) → tree (parser) → text again (execute)."""

from llamawire.engine.prompt.gotemplate.template import Template
from llamawire.engine.prompt.gotemplate.values import JSONMap, JSONSlice, Struct

__all__ = ["JSONMap", "JSONSlice", "Struct", "Template"]
