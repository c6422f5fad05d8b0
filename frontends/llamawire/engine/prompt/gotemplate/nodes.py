"""The syntax tree of a Go template.

The text of a node (`str`) is what error messages show for it. `position` is where they say it is:
an index into the source.
"""

from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "Action",
    "Bool",
    "Branch",
    "Break",
    "Chain",
    "Command",
    "Continue",
    "Dot",
    "Field",
    "Identifier",
    "If",
    "Nil",
    "Node",
    "Nodes",
    "Number",
    "Operand",
    "Pipe",
    "Range",
    "String",
    "TemplateCall",
    "Text",
    "Variable",
    "With",
    "argument_text",
]


@dataclass(frozen=True)
class _Positioned:
    position: int


@dataclass(frozen=True)
class Dot(_Positioned):
    """`.`"""

    def __str__(self) -> str:
        return "."


@dataclass(frozen=True)
class Nil(_Positioned):
    """`nil`"""

    def __str__(self) -> str:
        return "nil"


@dataclass(frozen=True)
class Bool(_Positioned):
    """`true` or `false`"""

    value: bool

    def __str__(self) -> str:
        return "true" if self.value else "false"


@dataclass(frozen=True)
class Number(_Positioned):
    """A number or a character constant; `value` is None when it is too large for Go's int."""

    text: str
    value: int | float | None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class String(_Positioned):
    """A string: as written, with its quotes, and as meant."""

    quoted: str
    value: str

    def __str__(self) -> str:
        return self.quoted


@dataclass(frozen=True)
class Identifier(_Positioned):
    """The name of a function."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Field(_Positioned):
    """`.Name` or `.Name.Name`: of dot."""

    path: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.path)


@dataclass(frozen=True)
class Variable(_Positioned):
    """`$name`, perhaps with fields: `$name.Name`. The first of the path has its `$`."""

    path: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True)
class Chain(_Positioned):
    """Fields of something else: `(index .Messages 0).Role`."""

    operand: "Operand"
    path: tuple[str, ...]

    def __str__(self) -> str:
        return argument_text(self.operand) + "".join(f".{name}" for name in self.path)


@dataclass(frozen=True)
class Command(_Positioned):
    """A value, or a function and its arguments."""

    operands: tuple["Operand", ...]

    def __str__(self) -> str:
        return " ".join(argument_text(operand) for operand in self.operands)


@dataclass(frozen=True)
class Pipe(_Positioned):
    """Commands, each handing its value to the next, and the variables that get the last one's."""

    variables: tuple[Variable, ...]
    is_assignment: bool  # `=` to variables that exist, rather than `:=`
    commands: tuple[Command, ...]

    def __str__(self) -> str:
        commands = " | ".join(map(str, self.commands))
        if not self.variables:
            return commands
        sign = "=" if self.is_assignment else ":="
        return f"{', '.join(map(str, self.variables))} {sign} {commands}"


Operand: TypeAlias = (
    Dot | Nil | Bool | Number | String | Identifier | Field | Variable | Chain | Pipe
)


@dataclass(frozen=True)
class Text(_Positioned):
    """Text between actions, already trimmed."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Action(_Positioned):
    """`{{ pipe }}`"""

    pipe: Pipe

    def __str__(self) -> str:
        return f"{{{{{self.pipe}}}}}"


@dataclass(frozen=True)
class Break(_Positioned):
    """`{{ break }}`"""

    def __str__(self) -> str:
        return "{{break}}"


@dataclass(frozen=True)
class Continue(_Positioned):
    """`{{ continue }}`"""

    def __str__(self) -> str:
        return "{{continue}}"


@dataclass(frozen=True)
class TemplateCall(_Positioned):
    """`{{ template "name" pipe }}`; a `block` is one too, and a definition besides."""

    quoted_name: str
    name: str
    pipe: Pipe | None

    def __str__(self) -> str:
        argument = f" {self.pipe}" if self.pipe else ""
        return f"{{{{template {self.quoted_name}{argument}}}}}"


@dataclass(frozen=True)
class Branch(_Positioned):
    """What `if`, `range` and `with` have in common."""

    pipe: Pipe
    body: "Nodes"
    otherwise: "Nodes | None"

    def __str__(self) -> str:
        keyword = type(self).__name__.lower()
        body = "".join(map(str, self.body))
        if self.otherwise is not None:
            body += "{{else}}" + "".join(map(str, self.otherwise))
        return f"{{{{{keyword} {self.pipe}}}}}{body}{{{{end}}}}"


@dataclass(frozen=True)
class If(Branch):
    """`{{ if pipe }}body{{ else }}otherwise{{ end }}`"""


@dataclass(frozen=True)
class Range(Branch):
    """`{{ range pipe }}body{{ else }}otherwise{{ end }}`"""


@dataclass(frozen=True)
class With(Branch):
    """`{{ with pipe }}body{{ else }}otherwise{{ end }}`"""


Node: TypeAlias = Text | Action | Break | Continue | TemplateCall | If | Range | With
Nodes: TypeAlias = tuple[Node, ...]


def argument_text(operand: Operand) -> str:
    """The operand as it stands among others: a pipe in parentheses."""
    return f"({operand})" if isinstance(operand, Pipe) else str(operand)
