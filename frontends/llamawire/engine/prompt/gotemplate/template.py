"""Go's text/template, as far as prompts use it: parse once, execute often.

    template = Template.parse("{{ range .Messages }}{{ .Role }}: {{ .Content }}\\n{{ end }}")
    prompt = template.execute({"Messages": [...]})

The values are those of `values.py`. A Template never changes: any number of threads may use it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from llamawire.engine.prompt.gotemplate import inspection, nodes
from llamawire.engine.prompt.gotemplate.cutting import cut_after
from llamawire.engine.prompt.gotemplate.execute import Execution
from llamawire.engine.prompt.gotemplate.functions import FUNCTION_NAMES, functions
from llamawire.engine.prompt.gotemplate.parser import MAIN, parse
from llamawire.engine.prompt.limits import DEFAULT_LIMITS, Budget, Limits, check_source

__all__ = ["Template"]


@dataclass(frozen=True)
class Template:
    """A template that parses. Made by `Template.parse`."""

    source: str
    templates: Mapping[str, nodes.Nodes]
    """The lists of nodes by the names of their definitions; MAIN is the one outside."""

    limits: Limits = DEFAULT_LIMITS

    @classmethod
    def parse(cls, text: str, limits: Limits = DEFAULT_LIMITS) -> "Template":
        """Raises TemplateSyntaxError when the text is no template, or too long."""
        check_source(text, limits)
        return cls(text, parse(text, FUNCTION_NAMES, limits), limits)

    def execute(
        self,
        data: Mapping[str, object],
        today: Callable[[], date] = date.today,
        budget: Budget | None = None,
    ) -> str:
        """The text that the template makes of `data`, or TemplateExecutionError.

        A name that `data` does not have is no error: it prints `<no value>` and is false. A prompt
        of several executions pays for all of them out of one `budget`.
        """
        execution = Execution(
            self.source,
            self.templates,
            functions(today),
            budget or Budget(self.limits),
            self.limits.depth_max,
        )
        return execution.run(data)

    def mentions(self, name: str) -> bool:
        """Whether any field or variable has this name, in either case, in any sub-template."""
        return any(
            name.lower() in inspection.mentioned_names(list_) for list_ in self.templates.values()
        )

    def thinking_tags(self) -> tuple[str, str] | None:
        """The texts between which the model is shown its thinking, when they can be told."""
        return inspection.thinking_tags(self.templates[MAIN])

    def tool_call_tag(self) -> str:
        """The text that the model is shown before a tool call; `{` when there is none."""
        return inspection.tool_call_tag(self.templates[MAIN])

    def cut_after(self, name: str) -> "Template":
        """The template without what comes after its first use of the field `name`."""
        main = cut_after(self.templates[MAIN], name)
        return replace(self, templates={**self.templates, MAIN: main})
