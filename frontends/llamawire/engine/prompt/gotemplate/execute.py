"""Runs the syntax tree of a Go template.

`_node` is the node that an error would be about: it is set on the way down and never set back, as
in Go, so that an error names what was evaluated last.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NoReturn

from llamawire.engine.prompt.errors import TemplateExecutionError
from llamawire.engine.prompt.gotemplate import nodes
from llamawire.engine.prompt.gotemplate.functions import SHORT_CIRCUITS, CallError, Function
from llamawire.engine.prompt.gotemplate.gojson import encode_json
from llamawire.engine.prompt.gotemplate.parser import MAIN
from llamawire.engine.prompt.gotemplate.printing import text_of
from llamawire.engine.prompt.gotemplate.quoting import quote, to_bytes, valid_text
from llamawire.engine.prompt.gotemplate.values import (
    NO_VALUE,
    Struct,
    is_slice,
    is_true,
    prints_json,
    type_name,
)
from llamawire.engine.prompt.limits import Budget

__all__ = ["Execution"]

_ANY: Final = "interface {}"
_VARIABLES_PER_STEP: Final = 32  # To look at.


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class _Absent:
    """The type of ABSENT: no value came through the pipe."""


_ABSENT: Final = _Absent()


class Execution:
    """One execution of a template."""

    def __init__(
        self,
        source: str,
        templates: Mapping[str, nodes.Nodes],
        functions: Mapping[str, Function],
        budget: Budget,
        depth_max: int,
    ) -> None:
        self._source = source
        self._templates = templates
        self._functions = functions
        self._budget = budget
        self._depth_left = self._depth_max = depth_max
        self._name = MAIN
        self._node: nodes.Node | nodes.Command | nodes.Operand | None = None
        self._variables: list[tuple[str, object]] = []
        self._output: list[str] = []

    def run(self, data: Mapping[str, object]) -> str:
        """The text that the template makes of `data`. To be called once."""
        root = dict(data)
        self._variables = [("$", root)]
        try:
            self._walk_list(self._templates[MAIN], root)
        except RecursionError:
            self._fail("the values are nested too deeply")
        return valid_text("".join(self._output))

    # Errors.

    def _fail(self, reason: str) -> NoReturn:
        if self._node is None:
            raise TemplateExecutionError(f"template: {self._name}: {reason}")
        before = self._source[: self._node.position]
        line = before.count("\n") + 1
        column = len(to_bytes(before[before.rfind("\n") + 1 :]))
        raise TemplateExecutionError(
            f"template: :{line}:{column}: executing {quote(self._name)} at <{self._node}>: {reason}"
        )

    def _enter(self) -> None:
        self._depth_left -= 1
        if self._depth_left < 0:
            self._fail(f"nested deeper than depth_max ({self._depth_max})")

    # Nodes.

    def _walk_list(self, list_: nodes.Nodes, dot: object) -> None:
        self._enter()
        for node in list_:
            self._budget.step()
            self._node = node
            self._walk(node, dot)
        self._depth_left += 1

    def _walk(self, node: nodes.Node, dot: object) -> None:
        match node:
            case nodes.Text():
                self._write(node.text)
            case nodes.Action():
                value = self._pipe(node.pipe, dot)
                if not node.pipe.variables:
                    self._node = node
                    self._print(value)
            case nodes.If() | nodes.With():
                self._walk_branch(node, dot)
            case nodes.Range():
                self._walk_range(node, dot)
            case nodes.TemplateCall():
                self._walk_template(node, dot)
            case nodes.Break():
                raise _Break
            case nodes.Continue():
                raise _Continue

    def _write(self, text: str) -> None:
        self._budget.make(len(text))
        self._output.append(text)

    def _print(self, value: object) -> None:
        text = text_of(value)
        if text is not value:
            self._budget.compose(len(text))
        self._write(text)

    def _walk_branch(self, node: nodes.If | nodes.With, dot: object) -> None:
        visible = len(self._variables)
        value = self._pipe(node.pipe, dot)
        if is_true(value):
            self._walk_list(node.body, value if isinstance(node, nodes.With) else dot)
        elif node.otherwise is not None:
            self._walk_list(node.otherwise, dot)
        del self._variables[visible:]

    def _walk_range(self, node: nodes.Range, dot: object) -> None:
        visible = len(self._variables)
        depth_left = self._depth_left
        value = self._pipe(node.pipe, dot)
        inside = len(self._variables)
        is_empty = True
        for key, item in self._items(node, value):
            is_empty = False
            self._budget.step()
            self._set_range_variables(node.pipe, key, item)
            try:
                self._walk_list(node.body, item)
            except _Break:
                break
            except _Continue:
                continue
            finally:
                self._depth_left = depth_left
                del self._variables[inside:]
        if is_empty and node.otherwise is not None:
            self._walk_list(node.otherwise, dot)
        del self._variables[visible:]

    def _items(self, node: nodes.Range, value: object) -> Iterator[tuple[object, object]]:
        """Pairs of index or key and element."""
        if value is NO_VALUE or value is None:
            return iter(())
        if isinstance(value, dict):
            self._budget.step(len(value))
            return iter(sorted(value.items()))
        if is_slice(value):
            return iter(enumerate(value))
        if isinstance(value, int) and not isinstance(value, bool):
            if len(node.pipe.variables) > 1:
                self._fail(f"can't use {value} to iterate over more than one variable")
            return ((NO_VALUE, number) for number in range(value))
        self._fail(f"range can't iterate over {text_of(value)}")

    def _set_range_variables(self, pipe: nodes.Pipe, key: object, item: object) -> None:
        values = (item,) if len(pipe.variables) == 1 else (key, item)
        for index, (variable, value) in enumerate(zip(pipe.variables, values, strict=False)):
            if pipe.is_assignment:
                self._assign(variable.path[0], value)
            else:
                place = index - len(pipe.variables)
                self._variables[place] = (variable.path[0], value)

    def _walk_template(self, node: nodes.TemplateCall, dot: object) -> None:
        body = self._templates.get(node.name)
        if body is None:
            self._fail(f"template {quote(node.name)} not defined")
        argument = self._pipe(node.pipe, dot) if node.pipe else NO_VALUE
        outside = self._name, self._variables
        self._name, self._variables = node.name, [("$", argument)]
        self._walk_list(body, argument)
        self._name, self._variables = outside

    # Variables.

    def _assign(self, name: str, value: object) -> None:
        index = self._index_of(name)
        self._variables[index] = (name, value)

    def _value_of(self, name: str) -> object:
        return self._variables[self._index_of(name)][1]

    def _index_of(self, name: str) -> int:
        """Of the innermost variable of that name; those near the end are found soonest."""
        for index in range(len(self._variables) - 1, -1, -1):
            if self._variables[index][0] == name:
                distance = len(self._variables) - index
                self._budget.step(distance // _VARIABLES_PER_STEP)
                return index
        self._fail(f"undefined variable: {name}")

    # Pipes and commands.

    def _pipe(self, pipe: nodes.Pipe, dot: object) -> object:
        self._node = pipe
        self._enter()
        value: object = _ABSENT
        for command in pipe.commands:
            self._budget.step()
            value = self._command(command, dot, value)
            if value is None:
                value = NO_VALUE
        for variable in pipe.variables:
            if pipe.is_assignment:
                self._assign(variable.path[0], value)
            else:
                self._variables.append((variable.path[0], value))
        self._depth_left += 1
        return value

    def _command(self, command: nodes.Command, dot: object, piped: object) -> object:
        first = command.operands[0]
        if isinstance(first, nodes.Identifier):
            return self._call(first, command, dot, piped)
        is_called = len(command.operands) > 1 or piped is not _ABSENT
        match first:
            case nodes.Field() | nodes.Chain():
                return self._value(first, dot, is_called)
            case nodes.Variable() if len(first.path) > 1:
                return self._value(first, dot, is_called)
        if not isinstance(first, nodes.Pipe):
            self._node = first
        if is_called:
            self._fail(f"can't give argument to non-function {nodes.argument_text(first)}")
        if isinstance(first, nodes.Nil):
            self._fail("nil is not a command")
        return self._value(first, dot, False)

    def _value(self, operand: nodes.Operand, dot: object, is_called: bool = False) -> object:
        """The value of an operand; `is_called` when arguments are given to the field it names."""
        self._node = operand
        match operand:
            case nodes.Dot():
                return dot
            case nodes.Nil():
                return None
            case nodes.Bool() | nodes.String():
                return operand.value
            case nodes.Number():
                if operand.value is None:
                    self._fail(f"{operand} overflows int")
                return operand.value
            case nodes.Field():
                return self._fields(operand, dot, operand.path, is_called)
            case nodes.Variable():
                value = self._value_of(operand.path[0])
                return self._fields(operand, value, operand.path[1:], is_called)
            case nodes.Chain():
                if isinstance(operand.operand, nodes.Nil):
                    self._fail(f"indirection through explicit nil in {operand}")
                value = self._value(operand.operand, dot)
                return self._fields(operand, value, operand.path, is_called)
            case nodes.Pipe():
                return self._pipe(operand, dot)
            case nodes.Identifier():
                return self._call(
                    operand, nodes.Command(operand.position, (operand,)), dot, _ABSENT
                )

    # Fields.

    def _fields(
        self, node: nodes.Operand, value: object, path: Sequence[str], is_called: bool
    ) -> object:
        value_type = None  # What Go would call the type, where it is not the value's own.
        for index, name in enumerate(path):
            is_last = index == len(path) - 1
            value, value_type = self._field(value, value_type, name, is_called and is_last)
        return value

    def _field(
        self, value: object, value_type: str | None, name: str, is_called: bool
    ) -> tuple[object, str | None]:
        if value is NO_VALUE:
            return NO_VALUE, None
        if value is None:
            self._fail(f"nil pointer evaluating {_ANY}.{name}")
        if name == "String" and prints_json(value):
            if is_called:
                self._fail("wrong number of args for String: want 0 got 1")
            return encode_json(value), None
        if isinstance(value, Struct) and name in value.fields:
            if is_called:
                self._fail(f"{name} has arguments but cannot be invoked as function")
            return value.fields[name], None
        if isinstance(value, dict):
            if is_called:
                self._fail(f"{name} is not a method but has arguments")
            return value.get(name), _ANY
        self._fail(f"can't evaluate field {name} in type {value_type or type_name(value)}")

    # Functions.

    def _call(
        self, node: nodes.Identifier, command: nodes.Command, dot: object, piped: object
    ) -> object:
        self._node = node
        operands = command.operands[1:]
        if node.name in SHORT_CIRCUITS:
            return self._short_circuit(node, operands, dot, piped)
        function = self._functions[node.name]
        self._check_count(node.name, function, len(operands) + (piped is not _ABSENT))
        arguments: list[object] = []
        for index, operand in enumerate(operands):
            wants_text = function.are_texts or (function.first_is_text and index == 0)
            arguments.append(self._argument(operand, dot, wants_text))
        if piped is not _ABSENT:
            if function.are_texts or (function.first_is_text and not arguments):
                self._check_text(piped)
            arguments.append(None if piped is NO_VALUE else piped)
        self._pay_for(arguments)
        try:
            return function.call(arguments, self._budget)
        except CallError as error:
            self._node = command
            self._fail(f"error calling {node.name}: {error}")

    def _short_circuit(
        self,
        node: nodes.Identifier,
        operands: Sequence[nodes.Operand],
        dot: object,
        piped: object,
    ) -> object:
        """`and` gives the first operand that is false, `or` that is true, or else the last."""
        if not operands and piped is _ABSENT:
            self._fail(f"wrong number of args for {node.name}: want at least 1 got 0")
        value: object = None
        for operand in operands:
            value = self._argument(operand, dot, False)
            if is_true(value) == (node.name == "or"):
                return value
        return value if piped is _ABSENT else piped

    def _check_count(self, name: str, function: Function, count: int) -> None:
        least, most = function.arguments_min, function.arguments_max
        if count < least or (most is not None and count > most):
            wanted = str(least) if least == most else f"at least {least}"
            self._fail(f"wrong number of args for {name}: want {wanted} got {count}")

    def _argument(self, operand: nodes.Operand, dot: object, wants_text: bool) -> object:
        self._node = operand
        if wants_text and isinstance(operand, nodes.Nil):
            self._fail("cannot assign nil to string")
        if wants_text and isinstance(operand, (nodes.Bool, nodes.Number)):
            self._fail(f"expected string; found {operand}")
        value = self._value(operand, dot)
        if wants_text:
            self._check_text(value)
        return None if value is NO_VALUE else value

    def _check_text(self, value: object) -> None:
        if value is NO_VALUE:
            self._fail("invalid value; expected string")
        if not isinstance(value, str):
            got = type_name(value)
            self._fail(f"wrong type for value; expected string; got {got}")

    def _pay_for(self, arguments: Sequence[object]) -> None:
        for argument in arguments:
            if isinstance(argument, str):
                self._budget.read(len(argument))
