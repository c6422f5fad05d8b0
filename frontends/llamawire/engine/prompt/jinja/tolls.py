"""Puts the toll gates into a Jinja template before it is compiled.

Jinja compiles a template to Python, which would run as long as it likes. So the syntax tree is
changed first: whatever can repeat or grow passes through a filter that pays for it. The names of
these filters are no words of Jinja's, so that a template can neither use nor replace them.
"""

from typing import Final

from jinja2 import nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.visitor import NodeTransformer

__all__ = ["ENTER", "JOIN", "LOOP", "MADE", "READ", "with_tolls"]

LOOP: Final = "(loop)"  # the items of a loop, counted
ENTER: Final = "(enter)"  # a macro's body begins
JOIN: Final = "(join)"  # texts put together by ~
MADE: Final = "(made)"  # a new list, dictionary or part of something
READ: Final = "(read)"  # something that is compared

_NODES_PER_STEP: Final = 16  # Their code is short.


def with_tolls(template: nodes.Template) -> nodes.Template:
    """Changes the tree and gives it back."""
    changed = _Gates().visit(template)
    assert isinstance(changed, nodes.Template)
    return changed


class _Gates(NodeTransformer):
    def visit_For(self, node: nodes.For) -> nodes.Node:
        if node.recursive:
            raise TemplateSyntaxError("recursive loops are not supported", node.lineno)
        cost = _cost(node)
        self.generic_visit(node)
        node.iter = _gate(LOOP, node.iter, *cost)
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:
        return self._body(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:
        return self._body(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _gate(JOIN, nodes.List(node.nodes, lineno=node.lineno))

    def visit_List(self, node: nodes.List) -> nodes.Node:
        self.generic_visit(node)
        return _gate(MADE, node)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        self.generic_visit(node)
        return _gate(MADE, node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return _gate(MADE, node) if node.ctx == "load" else node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        return _gate(MADE, node) if isinstance(node.arg, nodes.Slice) else node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        if len(node.ops) == 1 and _is_cheap(node.expr, node.ops[0]):
            return node
        node.expr = _gate(READ, node.expr)
        for operand in node.ops:
            operand.expr = _gate(READ, operand.expr)
        return node

    def _body(self, node: "nodes.Macro | nodes.CallBlock") -> nodes.Node:
        steps, chars = _cost(node)
        self.generic_visit(node)
        zero = nodes.Const(0, lineno=node.lineno)
        gate = nodes.ExprStmt(_gate(ENTER, zero, steps, chars), lineno=node.lineno)
        node.body.insert(0, gate)
        return node


def _gate(name: str, value: nodes.Node, *numbers: int) -> nodes.Filter:
    arguments = [nodes.Const(number, lineno=value.lineno) for number in numbers]
    return nodes.Filter(value, name, arguments, [], None, None, lineno=value.lineno)


def _is_cheap(left: nodes.Expr, right: nodes.Operand) -> bool:
    """Whether it is one word against another, as in `message.role == "user"`."""
    return right.op in ("eq", "ne") and isinstance(right.expr, nodes.Const)


def _cost(body: nodes.Node) -> tuple[int, int]:
    """Steps and characters of one pass through all that is written in `body`."""
    count = sum(1 for _ in body.find_all(nodes.Node))
    chars = sum(len(text.data) for text in body.find_all(nodes.TemplateData))
    return 1 + count // _NODES_PER_STEP, chars
