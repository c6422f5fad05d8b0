"""What can be wrong with a template.

TemplateError                  anything below; its text is what the person who wrote it reads
├── TemplateSyntaxError        the text does not parse, or is larger than its limits allow
└── TemplateExecutionError     it parses, but cannot run on these values or within its limits

The texts have the form that Go's text/template gives them (`template: :«line»: …` and
`template: :«line»:«column»: executing …`), because clients of Ollama match on it.
"""

__all__ = ["TemplateError", "TemplateExecutionError", "TemplateSyntaxError"]


class TemplateError(Exception):
    """Something is wrong with a template or with running it."""


class TemplateSyntaxError(TemplateError):
    """The template does not parse."""


class TemplateExecutionError(TemplateError):
    """The template failed while it ran."""
