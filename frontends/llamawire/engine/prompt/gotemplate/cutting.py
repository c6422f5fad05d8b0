"""Cuts a template off after a field.

A template without `.Messages` is one turn of a conversation. In the last turn the model itself is
to write the rest, so the template must end where the answer begins: right after `.Response`.
"""

from dataclasses import replace

from llamawire.engine.prompt.gotemplate import nodes

__all__ = ["cut_after"]


def cut_after(list_: nodes.Nodes, name: str) -> nodes.Nodes:
    """The list without what comes after the first use of the field `name`, at any depth.

    Of an action that uses it, what stands behind the field goes too; of a condition, nothing does,
    because half a condition could not be evaluated.
    """
    return _cut_list(list_, name)[0]


def _cut_list(list_: nodes.Nodes, name: str) -> tuple[nodes.Nodes, bool]:
    """What is left, and whether anything had to be cut."""
    for index, node in enumerate(list_):
        left, is_cut = _cut_node(node, name)
        if is_cut:
            return (*list_[:index], left), True
    return list_, False


def _cut_node(node: nodes.Node, name: str) -> tuple[nodes.Node, bool]:
    match node:
        case nodes.Action():
            pipe, is_cut = _cut_pipe(node.pipe, name)
            return replace(node, pipe=pipe), is_cut
        case nodes.TemplateCall(pipe=nodes.Pipe() as pipe):
            return node, _cut_pipe(pipe, name)[1]
        case nodes.If() | nodes.Range() | nodes.With():
            return _cut_branch(node, name)
    return node, False


def _cut_branch(node: nodes.If | nodes.Range | nodes.With, name: str) -> tuple[nodes.Node, bool]:
    if _cut_pipe(node.pipe, name)[1]:
        return replace(node, body=(), otherwise=None), True
    body, is_cut = _cut_list(node.body, name)
    if is_cut:
        return replace(node, body=body, otherwise=None), True
    otherwise, is_cut = _cut_list(node.otherwise or (), name)
    return replace(node, otherwise=otherwise or None), is_cut


def _cut_pipe(pipe: nodes.Pipe, name: str) -> tuple[nodes.Pipe, bool]:
    for index, command in enumerate(pipe.commands):
        left, is_cut = _cut_command(command, name)
        if is_cut:
            return replace(pipe, commands=(*pipe.commands[:index], left)), True
    return pipe, False


def _cut_command(command: nodes.Command, name: str) -> tuple[nodes.Command, bool]:
    for index, operand in enumerate(command.operands):
        left, is_cut = _cut_operand(operand, name)
        if is_cut:
            return replace(command, operands=(*command.operands[:index], left)), True
    return command, False


def _cut_operand(operand: nodes.Operand, name: str) -> tuple[nodes.Operand, bool]:
    match operand:
        case nodes.Field() | nodes.Variable():
            return operand, name in operand.path
        case nodes.Pipe():
            return _cut_pipe(operand, name)
        case nodes.Chain(operand=nodes.Pipe() as pipe):
            return operand, name in operand.path or _cut_pipe(pipe, name)[1]
    return operand, False
