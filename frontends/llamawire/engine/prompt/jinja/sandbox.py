"""A Jinja in which a template can do what chat templates do, and nothing that has no bound.

On top of Jinja's own sandbox, which keeps a template from reaching into Python:

* `tolls.py` makes loops, macros, lists and comparisons pay.
* Only the filters and methods named here exist. They pay for what they read and make, and those
  whose result can be much larger than what they are given pay beforehand.
* Operators pay likewise; numbers stay small.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sized
from typing import Final

from jinja2 import Undefined, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace

from llamawire.engine.prompt.jinja.budgeted import BudgetedContext, CountedItems, Spending
from llamawire.engine.prompt.jinja.tolls import ENTER, JOIN, LOOP, MADE, READ, with_tolls
from llamawire.engine.prompt.limits import Limits

__all__ = ["Sandbox"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TEXT_FILTERS: Final = _words(
    """
    abs capitalize d default e escape first float indent int last length count lower replace round
    reverse safe string title trim truncate upper wordcount attr
    """
)
_LIST_FILTERS: Final = _words(
    """
    batch dictsort groupby items join list map max min reject rejectattr select selectattr
    slice sort sum unique
    """
)
_COMPARING_TESTS: Final = _words(
    """
    == eq equalto != ne > gt greaterthan >= ge < lt lessthan <= le in
    """
)
_TEXT_METHODS: Final = _words(
    """
    capitalize casefold center count endswith find index isalnum isalpha isascii isdecimal isdigit
    isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower lstrip
    partition removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split
    splitlines startswith strip swapcase title upper zfill
    """
)
_PADDING_METHODS: Final = frozenset({"center", "ljust", "rjust", "zfill"})
_CONTAINER_METHODS: Final = frozenset({"copy", "count", "get", "index", "items", "keys", "values"})
_NUMBER_METHODS: Final = frozenset({"is_integer", "bit_length"})

_RANGE_MAX: Final = 100_000
_NUMBER_MAX: Final = 10_000  # An argument that says how long something is to be.
_BITS_MAX: Final = 1024  # Of a number.
_EXPONENT_MAX: Final = 64


class _Namespace(Namespace):
    """Prints without its contents: they may hold itself, or each other many times over."""

    def __repr__(self) -> str:
        return "<Namespace>"


class _Generation(Extension):
    """`{% generation %}` marks what the assistant said, for training; here it does nothing."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's environment, one for each template."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})
    context_class = BudgetedContext

    def __init__(self, limits: Limits) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # It would evaluate constants with nobody paying.
            extensions=["jinja2.ext.loopcontrols", _Generation],
            finalize=_printed,
        )
        self.limits = limits
        self._free = ImmutableSandboxedEnvironment()
        self.filters = {
            **{name: self._paid_filter(name) for name in _TEXT_FILTERS | _LIST_FILTERS},
            **{LOOP: _loop, ENTER: _enter, JOIN: _join, MADE: _made, READ: _read},
            "tojson": _to_json,
        }
        self.tests.update({name: self._paid_test(name) for name in _COMPARING_TESTS})
        self.globals = {
            "range": _range,
            "dict": dict,
            "namespace": _Namespace,
            "cycler": Cycler,
            "joiner": Joiner,
        }

    def compiled(self, source: str) -> "Callable[[Mapping[str, object]], str]":
        """A function from variables to text."""
        code = self.compile(with_tolls(self.parse(source)))
        return self.template_class.from_code(self, code, self.make_globals(None)).render

    def allow(self, name: str, function: Callable[..., object]) -> None:
        """Lets templates call `function`."""
        self.globals[name] = function

    # Filters and tests.

    def _paid_filter(self, name: str) -> Callable[..., object]:
        @pass_context
        def paid(
            context: BudgetedContext, value: object, *args: object, **kwargs: object
        ) -> object:
            spending = context.spending
            if name in _LIST_FILTERS and not isinstance(value, (list, tuple, Mapping, Undefined)):
                value = _listed(value, spending)
            spending.budget.step()
            spending.read(value, *args, *kwargs.values())
            _check_numbers(spending, args, kwargs.values())
            _pay_ahead(name, value, args, kwargs, spending)
            result = self._free.call_filter(name, value, args, kwargs, context=context)
            spending.made(result)
            return result

        return paid

    def _paid_test(self, name: str) -> Callable[..., bool]:
        @pass_context
        def paid(context: BudgetedContext, value: object, *args: object) -> bool:
            context.spending.read(value, *args)
            return bool(self._free.call_test(name, value, args, context=context))

        return paid

    # Calls.

    def getattr(self, obj: object, attribute: str) -> object:
        if isinstance(obj, str):
            return self._text_method(obj, attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: object, argument: object) -> object:
        if isinstance(obj, str) and isinstance(argument, str):
            return self._text_method(obj, argument)
        if isinstance(argument, (tuple, frozenset)):
            raise SecurityError("only texts and numbers can be keys")
        return super().getitem(obj, argument)

    def _text_method(self, text: str, name: str) -> object:
        if name not in _TEXT_METHODS:
            return self.undefined(obj=text, name=name)
        return getattr(text, name)

    def call(  # type: ignore[override]
        self, context: BudgetedContext, function: object, /, *args: object, **kwargs: object
    ) -> object:
        """What every call in a template comes to."""
        spending = context.spending
        spending.budget.step()
        spending.read(*args, *kwargs.values())
        if not isinstance(function, Macro):
            self._check_call(function, args, spending)
        result = super().call(context, function, *args, **kwargs)
        if isinstance(result, Iterable) and not isinstance(result, (str, range, Mapping)):
            result = _listed(result, spending)
        spending.made(result)
        return result

    def _check_call(self, function: object, args: tuple[object, ...], spending: Spending) -> None:
        owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
        if isinstance(owner, str) and name in _TEXT_METHODS:
            spending.budget.read(len(owner))
            if name in _PADDING_METHODS:
                _check_numbers(spending, args)
            _pay_ahead(f".{name}", owner, args, {}, spending)
            return
        is_known = (
            isinstance(function, (Undefined, LoopContext, Cycler, Joiner))
            or isinstance(owner, (LoopContext, Cycler))
            or (isinstance(owner, (list, tuple, Mapping)) and name in _CONTAINER_METHODS)
            or (isinstance(owner, (int, float)) and name in _NUMBER_METHODS)
            or any(function is known for known in self.globals.values())
        )
        if not is_known:
            raise SecurityError(f"a template may not call {name or type(function).__name__}")
        spending.read(owner)

    # Operators.

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        assert isinstance(context, BudgetedContext)
        spending = context.spending
        spending.budget.step()
        if operator == "+":
            spending.budget.make(_length(left) + _length(right))
        elif operator == "*":
            spending.budget.make(_repeated(left, right) + _repeated(right, left))
        elif operator == "%" and isinstance(left, str):
            raise SecurityError("% between texts is not supported")
        _check_magnitude(operator, left, right)
        result = super().call_binop(context, operator, left, right)
        spending.weight(result)
        return result


# The toll gates.


@pass_context
def _printed(context: BudgetedContext, value: object) -> object:
    context.spending.budget.make(context.spending.weight(value))
    return value


@pass_context
def _loop(context: BudgetedContext, items: Iterable[object], steps: int, chars: int) -> object:
    return CountedItems(items, context.spending, steps, chars)


@pass_context
def _enter(context: BudgetedContext, value: object, steps: int, chars: int) -> object:
    context.spending.budget.step(steps)
    context.spending.budget.make(chars)
    return value


@pass_context
def _join(context: BudgetedContext, values: list[object]) -> str:
    context.spending.budget.make(sum(map(context.spending.weight, values)))
    return "".join(map(str, values))


@pass_context
def _made(context: BudgetedContext, value: object) -> object:
    context.spending.made(value)
    return value


@pass_context
def _read(context: BudgetedContext, value: object) -> object:
    context.spending.read(value)
    return value


# What is ours among the filters and functions.


@pass_context
def _to_json(
    context: BudgetedContext,
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as models were taught with it: not escaped for HTML."""
    spending = context.spending
    spending.read(value, separators)
    _check_numbers(spending, (indent,))
    encoder = json.JSONEncoder(
        ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )
    parts: list[str] = []
    for part in encoder.iterencode(value):
        spending.budget.step()
        spending.budget.make(len(part))
        parts.append(part)
    return "".join(parts)


def _range(*bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > _RANGE_MAX:
        raise SecurityError(f"a range of more than {_RANGE_MAX} numbers")
    return numbers


# Paying.


def _listed(items: object, spending: Spending) -> list[object]:
    """The items as a list, each paid for as it comes."""
    listed: list[object] = []
    for item in items if isinstance(items, Iterable) else ():
        if len(listed) % 8 == 0:
            spending.budget.step()
        listed.append(item)
    return listed


def _pay_ahead(
    name: str,
    value: object,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
    spending: Spending,
) -> None:
    """Pays for what grows with the product of what a filter or a method of texts is given."""
    longest = max((_length(argument) for argument in (*args, *kwargs.values())), default=0)
    if name in ("replace", ".replace"):
        old = args[0] if args else ""
        places = str(value).count(old) if isinstance(old, str) else 0
        spending.budget.make(places * longest)
    elif name == "join":
        spending.budget.make(longest * _length(value))
    elif name == ".join":
        spending.budget.make(_length(value) * longest + sum(map(spending.weight, args)))
    elif name == "indent":
        numbers = [item for item in (*args, *kwargs.values()) if isinstance(item, int)]
        lines = str(value).count("\n") + 1
        spending.budget.make(lines * max([longest, 4, *numbers]))
    elif name == "sum" and longest:
        raise SecurityError("sum can only start from a number")


def _check_numbers(spending: Spending, *groups: Iterable[object]) -> None:
    """Refuses numbers that would make a result much longer than what it is made of."""
    for group in groups:
        for number in group:
            if isinstance(number, int):
                if abs(number) > _NUMBER_MAX:
                    raise SecurityError(f"{number} is more than {_NUMBER_MAX}")
                spending.budget.step(abs(number) // 16)


def _check_magnitude(operator: str, left: object, right: object) -> None:
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() + right.bit_length()
        if bits > _BITS_MAX or (operator == "**" and abs(right) > _EXPONENT_MAX):
            raise SecurityError(f"too large a number: {operator} of {bits} bits")


def _length(value: object) -> int:
    is_measured = isinstance(value, Sized) and not isinstance(value, (Undefined, Mapping))
    return len(value) if is_measured else 0  # type: ignore[arg-type]


def _repeated(value: object, times: object) -> int:
    if not isinstance(times, int):
        return 0
    return _length(value) * max(times, 0)
