"""Text in, text out: how a conversation becomes the prompt that a model was taught to read.

`messages` says what a conversation is; `chat` and `generate` put one together from a request;
`images` marks where its images go; `truncate` shortens it; `render` (Go templates) and `jinja/`
write it down. Nothing here does I/O, and everything may be used from any thread.
"""

from llamawire.engine.prompt.chat import chat_messages, without_old_thinking
from llamawire.engine.prompt.detect import detect
from llamawire.engine.prompt.errors import (
    TemplateError,
    TemplateExecutionError,
    TemplateSyntaxError,
)
from llamawire.engine.prompt.generate import generate_messages
from llamawire.engine.prompt.gotemplate import Template
from llamawire.engine.prompt.images import image_marker, mark_images
from llamawire.engine.prompt.jinja import JinjaPrompt
from llamawire.engine.prompt.limits import DEFAULT_LIMITS, Limits
from llamawire.engine.prompt.messages import (
    UNSET,
    Message,
    Parameters,
    Property,
    ThinkLevel,
    ThinkValue,
    Tool,
    ToolCall,
)
from llamawire.engine.prompt.render import DEFAULT_TEMPLATE, GoPrompt, PromptTemplate
from llamawire.engine.prompt.truncate import TOKENS_PER_IMAGE, CountTokens, Truncated, truncate

__all__ = [
    "DEFAULT_LIMITS",
    "DEFAULT_TEMPLATE",
    "TOKENS_PER_IMAGE",
    "UNSET",
    "CountTokens",
    "GoPrompt",
    "JinjaPrompt",
    "Limits",
    "Message",
    "Parameters",
    "PromptTemplate",
    "Property",
    "Template",
    "TemplateError",
    "TemplateExecutionError",
    "TemplateSyntaxError",
    "ThinkLevel",
    "ThinkValue",
    "Tool",
    "ToolCall",
    "Truncated",
    "chat_messages",
    "detect",
    "generate_messages",
    "image_marker",
    "mark_images",
    "truncate",
    "without_old_thinking",
]
