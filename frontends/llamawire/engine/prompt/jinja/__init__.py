"""A GGUF's own chat template: Jinja, as Hugging Face's transformers run it, within limits."""

from llamawire.engine.prompt.jinja.template import JinjaPrompt

__all__ = ["JinjaPrompt"]
