"""Turns a conversation into the values that a Go template works on."""

from collections.abc import Iterable, Mapping, Sequence

from llamawire.engine.prompt.gotemplate import JSONMap, JSONSlice, Struct
from llamawire.engine.prompt.messages import (
    Message,
    Parameters,
    Property,
    ThinkValue,
    Tool,
    ToolCall,
)

__all__ = ["message_values", "think_values", "tool_values"]


def think_values(think: ThinkValue) -> dict[str, object]:
    """`Think`, `ThinkLevel` and `IsThinkSet`."""
    level = "medium" if think is True else think or ""
    return {"Think": bool(think), "ThinkLevel": level, "IsThinkSet": think is not None}


def message_values(messages: Iterable[Message]) -> tuple[object, ...]:
    """`.Messages`"""
    return tuple(map(_message, messages))


def tool_values(tools: Sequence[Tool]) -> JSONSlice:
    """`.Tools`"""
    return JSONSlice(map(_tool, tools))


def _message(message: Message) -> Struct:
    calls = tuple(map(_tool_call, message.tool_calls))
    fields = {
        "Role": message.role,
        "Content": message.content,
        "Thinking": message.thinking,
        "Images": message.images,
        "ToolCalls": calls,
        "ToolName": message.tool_name,
        "ToolCallID": message.tool_call_id,
    }
    absent_lists = {"Images": message.images or None, "ToolCalls": calls or None}
    json_fields = {**fields, **absent_lists}
    return Struct("template.templateMessage", fields, json_fields, is_pointer=True)


def _tool_call(call: ToolCall) -> Struct:
    function = {
        "Index": call.index,
        "Name": call.name,
        "Arguments": JSONMap(_arguments(call.arguments)),
    }
    fields = {"ID": call.id, "Function": Struct("template.templateToolCallFunction", function)}
    return Struct("template.templateToolCall", fields)


def _arguments(arguments: Mapping[str, object]) -> dict[str, object]:
    return {name: _with_floats(value) for name, value in arguments.items()}


def _with_floats(value: object) -> object:
    """The JSON value as Go reads it into an `any`: every number a float64."""
    if isinstance(value, Mapping):
        return {str(name): _with_floats(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_floats(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")
    return value


def _tool(tool: Tool) -> Struct:
    function = {
        "Name": tool.name,
        "Description": tool.description,
        "Parameters": _parameters(tool.parameters),
    }
    function_json = {
        "name": tool.name,
        "description": tool.description,
        "parameters": function["Parameters"],
    }
    # Templates of the best-known models print `.Function` and expect JSON.
    value = Struct("template.templateToolFunction", function, function_json, prints_json=True)
    items = _with_floats(tool.items)
    return Struct(
        "template.templateTool",
        {"Type": tool.type, "Items": items, "Function": value},
        {"type": tool.type, **({"items": items} if items else {}), "function": value},
        prints_json=True,
    )


def _parameters(parameters: Parameters) -> Struct:
    fields: dict[str, object] = {
        "Type": parameters.type,
        "Defs": _with_floats(parameters.defs),
        "Items": _with_floats(parameters.items),
        "Required": parameters.required,
        "Properties": _properties(parameters.properties),
    }
    names = {"Defs": "$defs"}
    always = ("Type", "Properties")
    json_fields = {
        names.get(name, name.lower()): value
        for name, value in fields.items()
        if value or name in always
    }
    return Struct("template.templateToolFunctionParameters", fields, json_fields, prints_json=True)


def _properties(properties: Mapping[str, Property]) -> JSONMap:
    return JSONMap((name, _property(value)) for name, value in properties.items())


def _property(property_: Property) -> Struct:
    types = property_.types[0] if len(property_.types) == 1 else property_.types
    fields: dict[str, object] = {
        "AnyOf": tuple(map(_property, property_.any_of)),
        "Type": types or "",
        "Items": _with_floats(property_.items),
        "Description": property_.description,
        "Enum": tuple(map(_with_floats, property_.enum)),
        "Properties": _properties(property_.properties),
        "Required": property_.required,
    }
    json_fields = {name[0].lower() + name[1:]: value for name, value in fields.items() if value}
    return Struct("api.ToolProperty", fields, json_fields)
