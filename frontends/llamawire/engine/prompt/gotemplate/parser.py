"""Makes a syntax tree of the words of a Go template.

    template   = { text | "{{" action "}}" | definition }
    definition = "{{ define" name "}}" list "{{ end }}"
    action     = pipe | control | "template" name [ pipe ] | "block" name pipe list "end"
               | "break" | "continue"
    control    = ("if" | "range" | "with") pipe list [ "else" list ] "end"
    pipe       = [ variable [ "," variable ] (":=" | "=") ] command { "|" command }
    command    = operand { space operand }
    operand    = term { field }
    term       = literal | "." | field | variable | function | "(" pipe ")"

An error names the line of the furthest word that has been looked at, as Go's parser does.
"""

from collections import Counter
from collections.abc import Collection
from enum import Enum, auto
from typing import Final, NoReturn

from llamawire.engine.prompt.errors import TemplateSyntaxError
from llamawire.engine.prompt.gotemplate import nodes
from llamawire.engine.prompt.gotemplate.lexer import lex
from llamawire.engine.prompt.gotemplate.numbers import parse_number
from llamawire.engine.prompt.gotemplate.quoting import quote, unquote, unquote_character
from llamawire.engine.prompt.gotemplate.token import Kind, Token
from llamawire.engine.prompt.limits import Limits

__all__ = ["MAIN", "parse"]

MAIN: Final = ""
"""The name of the template that stands outside of every `define`."""

_BRANCHES: Final[dict[Kind, type[nodes.If | nodes.Range | nodes.With]]] = {
    Kind.IF: nodes.If,
    Kind.RANGE: nodes.Range,
    Kind.WITH: nodes.With,
}
_OPERAND_STARTS: Final = frozenset(
    {
        Kind.BOOL,
        Kind.CHARACTER_CONSTANT,
        Kind.DOT,
        Kind.FIELD,
        Kind.IDENTIFIER,
        Kind.NUMBER,
        Kind.NIL,
        Kind.RAW_STRING,
        Kind.STRING,
        Kind.VARIABLE,
        Kind.LEFT_PAREN,
    }
)


def parse(source: str, functions: Collection[str], limits: Limits) -> dict[str, nodes.Nodes]:
    """All templates in `source` by name; the one outside of every definition is MAIN."""
    return _Parser(source, functions, limits).parse()


class _Ending(Enum):
    """What ended a list of nodes."""

    END = auto()
    ELSE = auto()

    def __str__(self) -> str:
        return "{{" + self.name.lower() + "}}"


class _Scope:
    """What may be said at a place in the template."""

    def __init__(self) -> None:
        self.range_depth = 0
        self._variables = ["$"]
        self._counts = Counter(self._variables)  # So that asking takes no time.

    def __len__(self) -> int:
        return len(self._variables)

    def __contains__(self, variable: str) -> bool:
        return self._counts[variable] > 0

    def declare(self, variable: str) -> None:
        self._variables.append(variable)
        self._counts[variable] += 1

    def shorten(self, length: int) -> None:
        """Forgets what was declared when there were `length` variables, and since."""
        while len(self._variables) > length:
            self._counts[self._variables.pop()] -= 1


class _Parser:
    def __init__(self, source: str, functions: Collection[str], limits: Limits) -> None:
        self._tokens: list[Token] = []
        self._lexer = lex(source)
        self._next = 0  # index of the next word to take
        self._functions = functions
        self._depth_left = self._depth_max = limits.depth_max
        self._action_line = 0  # where the current action began; 0 outside of one
        self._scope = _Scope()
        self._templates: dict[str, nodes.Nodes] = {}

    def parse(self) -> dict[str, nodes.Nodes]:
        main: list[nodes.Node] = []
        while self._peek().kind is not Kind.EOF:
            if self._at_definition():
                self._definition()
                continue
            node = self._text_or_action()
            if isinstance(node, _Ending):
                self._fail(f"unexpected {node}")
            if node is not None:
                main.append(node)
        self._define(MAIN, tuple(main))
        return self._templates

    # Words.

    def _peek(self) -> Token:
        while self._next >= len(self._tokens):
            self._tokens.append(next(self._lexer))
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._peek()
        if token.kind is not Kind.ERROR and token.kind is not Kind.EOF:
            self._next += 1
        return token

    def _peek_word(self) -> Token:
        """The next word that is not space."""
        while self._peek().kind is Kind.SPACE:
            self._take()
        return self._peek()

    def _take_word(self) -> Token:
        self._peek_word()
        return self._take()

    def _expect(self, kind: Kind, context: str) -> Token:
        token = self._take_word()
        if token.kind is not kind:
            self._unexpected(token, context)
        return token

    # Errors.

    def _fail(self, reason: str) -> NoReturn:
        raise TemplateSyntaxError(f"template: :{self._tokens[-1].line}: {reason}")

    def _unexpected(self, token: Token, context: str) -> NoReturn:
        if token.kind is not Kind.ERROR:
            self._fail(f"unexpected {token} in {context}")
        where = ""
        if self._action_line not in (0, token.line):
            action = "" if token.text.endswith(" action") else " in action"
            where = f"{action} started at :{self._action_line}"
        self._fail(token.text + where)

    # Lists.

    def _text_or_action(self) -> nodes.Node | _Ending | None:
        """None for what leaves no node behind."""
        token = self._take_word()
        if token.kind is Kind.TEXT:
            return nodes.Text(token.position, token.text)
        if token.kind is not Kind.LEFT_DELIM:
            self._unexpected(token, "input")
        self._action_line = token.line
        action = self._action()
        self._action_line = 0
        return action

    def _list(self) -> tuple[nodes.Nodes, _Ending]:
        self._enter()
        found: list[nodes.Node] = []
        while self._peek_word().kind is not Kind.EOF:
            node = self._text_or_action()
            if isinstance(node, _Ending):
                self._leave()
                return tuple(found), node
            if node is not None:
                found.append(node)
        self._fail("unexpected EOF")

    def _list_to_end(self, context: str) -> nodes.Nodes:
        found, ending = self._list()
        if ending is not _Ending.END:
            self._fail(f"unexpected {ending} in {context}")
        return found

    def _enter(self) -> None:
        self._depth_left -= 1
        if self._depth_left < 0:
            self._fail(f"nested deeper than depth_max ({self._depth_max})")

    def _leave(self) -> None:
        self._depth_left += 1

    # Definitions.

    def _at_definition(self) -> bool:
        if self._peek().kind is not Kind.LEFT_DELIM:
            return False
        start = self._next
        self._take()
        is_definition = self._take_word().kind is Kind.DEFINE
        if not is_definition:
            self._next = start
        return is_definition

    def _definition(self) -> None:
        context = "define clause"
        name = self._name(context)
        self._expect(Kind.RIGHT_DELIM, context)
        self._define_apart(name, context)

    def _define_apart(self, name: str, context: str) -> None:
        """A definition sees none of the variables around it."""
        outside, self._scope = self._scope, _Scope()
        body = self._list_to_end(context)
        self._define(name, body)
        self._scope = outside

    def _define(self, name: str, body: nodes.Nodes) -> None:
        if _is_empty(self._templates.get(name, ())):
            self._templates[name] = body
        elif not _is_empty(body):
            self._fail(f"template: multiple definition of template {quote(name)}")

    def _name(self, context: str) -> str:
        token = self._take_word()
        if token.kind not in (Kind.STRING, Kind.RAW_STRING):
            self._unexpected(token, context)
        return self._unquoted(token)

    def _unquoted(self, token: Token) -> str:
        try:
            return unquote(token.text)
        except ValueError:
            self._fail("invalid syntax")

    # Actions.

    def _action(self) -> nodes.Node | _Ending | None:
        token = self._peek_word()
        if token.kind in _BRANCHES:
            self._take()
            return self._branch(token.kind)
        match token.kind:
            case Kind.END:
                self._take()
                self._expect(Kind.RIGHT_DELIM, "end")
                return _Ending.END
            case Kind.ELSE:
                self._take()
                return self._else()
            case Kind.BREAK | Kind.CONTINUE:
                return self._loop_control(self._take())
            case Kind.TEMPLATE:
                self._take()
                return self._template_call()
            case Kind.BLOCK:
                self._take()
                return self._block()
        return nodes.Action(token.position, self._pipe("command", Kind.RIGHT_DELIM))

    def _else(self) -> _Ending:
        # `else if` and `else with` are an `else` with another block inside, whose words follow.
        if self._peek_word().kind not in (Kind.IF, Kind.WITH):
            self._expect(Kind.RIGHT_DELIM, "else")
        return _Ending.ELSE

    def _loop_control(self, token: Token) -> nodes.Node:
        named = f"{{{{{token.text}}}}}"
        closing = self._take_word()
        if closing.kind is not Kind.RIGHT_DELIM:
            self._unexpected(closing, named)
        if not self._scope.range_depth:
            self._fail(f"{named} outside {{{{range}}}}")
        node = nodes.Break if token.kind is Kind.BREAK else nodes.Continue
        return node(token.position)

    def _template_call(self) -> nodes.Node:
        context = "template clause"
        token = self._peek_word()
        name = self._name(context)
        pipe = None
        if self._peek_word().kind is Kind.RIGHT_DELIM:
            self._take()
        else:
            pipe = self._pipe(context, Kind.RIGHT_DELIM)
        return nodes.TemplateCall(token.position, quote(name), name, pipe)

    def _block(self) -> nodes.Node:
        context = "block clause"
        token = self._peek_word()
        name = self._name(context)
        pipe = self._pipe(context, Kind.RIGHT_DELIM)
        self._define_apart(name, context)
        return nodes.TemplateCall(token.position, quote(name), name, pipe)

    def _branch(self, kind: Kind) -> nodes.Node:
        context = kind.name.lower()
        visible = len(self._scope)
        is_range = kind is Kind.RANGE
        pipe = self._pipe(context, Kind.RIGHT_DELIM)
        self._scope.range_depth += is_range
        body, ending = self._list()
        self._scope.range_depth -= is_range
        otherwise = self._otherwise(kind) if ending is _Ending.ELSE else None
        self._scope.shorten(visible)
        return _BRANCHES[kind](pipe.position, pipe, body, otherwise)

    def _otherwise(self, kind: Kind) -> nodes.Nodes:
        if kind is not Kind.RANGE and self._peek().kind is kind:
            self._take()
            self._enter()
            nested = self._branch(kind)
            self._leave()
            return (nested,)
        body, ending = self._list()
        if ending is not _Ending.END:
            self._fail(f"expected end; found {ending}")
        return body

    # Pipes.

    def _pipe(self, context: str, closing: Kind) -> nodes.Pipe:
        position = self._peek_word().position
        variables, is_assignment = self._declarations(context)
        commands: list[nodes.Command] = []
        while (token := self._take_word()).kind is not closing:
            if token.kind not in _OPERAND_STARTS:
                self._unexpected(token, context)
            self._next -= 1
            commands.append(self._command())
        self._check_commands(commands, context)
        return nodes.Pipe(position, variables, is_assignment, tuple(commands))

    def _declarations(self, context: str) -> tuple[tuple[nodes.Variable, ...], bool]:
        found: list[nodes.Variable] = []
        while self._peek_word().kind is Kind.VARIABLE:
            start = self._next
            token = self._take()
            sign = self._peek_word()
            is_list = sign.kind is Kind.CHARACTER and sign.text == ","
            if not is_list and sign.kind not in (Kind.ASSIGN, Kind.DECLARE):
                self._next = start  # An ordinary value.
                break
            self._take()
            found.append(nodes.Variable(token.position, (token.text,)))
            self._scope.declare(token.text)
            if not is_list:
                return tuple(found), sign.kind is Kind.ASSIGN
            self._check_another_variable(context, len(found))
        return tuple(found), False

    def _check_another_variable(self, context: str, count: int) -> None:
        if context != "range" or count >= 2:
            self._fail(f"too many declarations in {context}")
        expected = (Kind.VARIABLE, Kind.RIGHT_DELIM, Kind.RIGHT_PAREN)
        if self._peek_word().kind not in expected:
            self._fail("range can only initialize variables")

    def _check_commands(self, commands: list[nodes.Command], context: str) -> None:
        if not commands:
            self._fail(f"missing value for {context}")
        for stage, command in enumerate(commands[1:], 2):
            first = command.operands[0]
            if isinstance(first, (nodes.Bool, nodes.Dot, nodes.Nil, nodes.Number, nodes.String)):
                self._fail(f"non executable command in pipeline stage {stage}")

    def _command(self) -> nodes.Command:
        position = self._peek_word().position
        operands: list[nodes.Operand] = []
        while True:
            self._peek_word()
            operand = self._operand()
            if operand is not None:
                operands.append(operand)
            token = self._peek()
            if token.kind in (Kind.RIGHT_DELIM, Kind.RIGHT_PAREN):
                break
            self._take()
            if token.kind is Kind.PIPE:
                break
            if token.kind is not Kind.SPACE:
                self._unexpected(token, "operand")
        if not operands:
            self._fail("empty command")
        return nodes.Command(position, tuple(operands))

    def _operand(self) -> nodes.Operand | None:
        term = self._term()
        token = self._peek()
        if term is None or token.kind is not Kind.FIELD:
            return term
        path: list[str] = []
        while self._peek().kind is Kind.FIELD:
            path.append(self._take().text[1:])
        match term:
            case nodes.Field():
                return nodes.Field(token.position, (*term.path, *path))
            case nodes.Variable():
                return nodes.Variable(token.position, (*term.path, *path))
            case nodes.Bool() | nodes.String() | nodes.Number() | nodes.Nil() | nodes.Dot():
                self._fail(f"unexpected . after term {quote(str(term))}")
        return nodes.Chain(token.position, term, tuple(path))

    def _term(self) -> nodes.Operand | None:
        token = self._peek_word()
        if token.kind not in _OPERAND_STARTS:
            return None
        self._take()
        match token.kind:
            case Kind.IDENTIFIER:
                if token.text not in self._functions:
                    self._fail(f"function {quote(token.text)} not defined")
                return nodes.Identifier(token.position, token.text)
            case Kind.DOT:
                return nodes.Dot(token.position)
            case Kind.NIL:
                return nodes.Nil(token.position)
            case Kind.BOOL:
                return nodes.Bool(token.position, token.text == "true")
            case Kind.FIELD:
                return nodes.Field(token.position, (token.text[1:],))
            case Kind.VARIABLE:
                if token.text not in self._scope:
                    self._fail(f"undefined variable {quote(token.text)}")
                return nodes.Variable(token.position, (token.text,))
            case Kind.NUMBER | Kind.CHARACTER_CONSTANT:
                return nodes.Number(token.position, token.text, self._number(token))
            case Kind.LEFT_PAREN:
                self._enter()
                pipe = self._pipe("parenthesized pipeline", Kind.RIGHT_PAREN)
                self._leave()
                return pipe
        return nodes.String(token.position, token.text, self._unquoted(token))

    def _number(self, token: Token) -> int | float | None:
        try:
            if token.kind is Kind.NUMBER:
                return parse_number(token.text)
            return unquote_character(token.text)
        except ValueError as error:
            self._fail(str(error))


def _is_empty(body: nodes.Nodes) -> bool:
    return all(isinstance(node, nodes.Text) and not node.text.strip() for node in body)
