"""What can be told of a template without running it.

What a model can do is often written nowhere but in its template: one that uses `.Tools` is of a
model that knows tools, and the text around `.Thinking` is the tags that it thinks between.
"""

from collections.abc import Iterator

from llamawire.engine.prompt.gotemplate import nodes

__all__ = ["mentioned_names", "thinking_tags", "tool_call_tag"]


def mentioned_names(list_: nodes.Nodes) -> frozenset[str]:
    """Every field and variable in the list, in lower case, at any depth."""
    return frozenset(
        name.lower()
        for node in _all_nodes(list_)
        for pipe in _own_pipes(node)
        for operand in _operands(pipe)
        for name in _path(operand)
    )


def thinking_tags(list_: nodes.Nodes) -> tuple[str, str] | None:
    """The texts that begin and end the list of nodes that prints `.Thinking` of a message.

    That list stands in a `range` over `.Messages`. When there are several, the last with text at
    that end counts. None unless both texts are found.
    """
    opening = closing = ""
    for enclosing in _lists_that_print_thinking(list_, in_messages=False):
        first, last = enclosing[0], enclosing[-1]
        if isinstance(first, nodes.Text):
            opening = first.text.strip()
        if isinstance(last, nodes.Text):
            closing = last.text.strip()
    return (opening, closing) if opening and closing else None


def tool_call_tag(list_: nodes.Nodes) -> str:
    """What a tool call begins with: the first text in the first `if` that asks for `.ToolCalls`,
    up to its JSON; `{` when there is none."""
    for node in _all_nodes(list_):
        if isinstance(node, nodes.If) and _mentions(node.pipe, "ToolCalls"):
            texts = (inner.text for inner in _all_nodes(node.body) if isinstance(inner, nodes.Text))
            first = next((text for text in texts if text.strip()), "")
            return first.partition("{")[0].strip() or "{"
    return "{"


def _lists_that_print_thinking(list_: nodes.Nodes, in_messages: bool) -> Iterator[nodes.Nodes]:
    for node in list_:
        match node:
            case nodes.Action() if in_messages and _prints_thinking(node.pipe):
                yield list_
            case nodes.Branch():
                inside = in_messages
                if isinstance(node, nodes.Range):
                    inside = _mentions(node.pipe, "Messages")
                yield from _lists_that_print_thinking(node.body, inside)
                yield from _lists_that_print_thinking(node.otherwise or (), inside)


def _prints_thinking(pipe: nodes.Pipe) -> bool:
    return any(
        isinstance(operand, nodes.Field) and operand.path[0] == "Thinking"
        for operand in _operands(pipe)
    )


def _mentions(pipe: nodes.Pipe, name: str) -> bool:
    return any(name in _path(operand) for operand in _operands(pipe))


# Walking.


def _all_nodes(list_: nodes.Nodes) -> Iterator[nodes.Node]:
    """All nodes at any depth, in the order of the source."""
    for node in list_:
        yield node
        if isinstance(node, nodes.Branch):
            yield from _all_nodes(node.body)
            yield from _all_nodes(node.otherwise or ())


def _own_pipes(node: nodes.Node) -> tuple[nodes.Pipe, ...]:
    match node:
        case nodes.Action() | nodes.Branch():
            return (node.pipe,)
        case nodes.TemplateCall(pipe=nodes.Pipe() as pipe):
            return (pipe,)
    return ()


def _operands(pipe: nodes.Pipe) -> Iterator[nodes.Operand]:
    """All operands in the pipe, also those in parentheses, in the order of the source."""
    for command in pipe.commands:
        for operand in command.operands:
            inner = operand.operand if isinstance(operand, nodes.Chain) else operand
            if isinstance(inner, nodes.Pipe):
                yield from _operands(inner)
            yield operand


def _path(operand: nodes.Operand) -> tuple[str, ...]:
    match operand:
        case nodes.Field() | nodes.Variable() | nodes.Chain():
            return operand.path
    return ()
