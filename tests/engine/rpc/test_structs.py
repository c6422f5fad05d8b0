"""A Struct's values, and the place of one that JSON lacks."""

from __future__ import annotations

import pytest
from google.protobuf import struct_pb2

from llamawire.engine.errors import InvalidArgument
from llamawire.engine.rpc.convert_chat import read_chat
from llamawire.engine.rpc.structs import DEPTH_MAX, struct_values
from llamawire.v1 import chat_pb2, generation_service_pb2


def struct(value: dict[str, object]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(value)
    return made


def test_values_are_those_of_json() -> None:
    value: dict[str, object] = {
        "b": [1, 2.5, {"z": None, "a": True}, []],
        "a": {"n": -3, "big": 1e300},
        "t": "é",
    }
    read = struct_values(struct(value), "arguments")
    assert read == value
    assert list(read) == ["a", "b", "t"]
    assert isinstance(read["a"]["n"], int)  # type: ignore[index]


def test_a_value_without_a_kind_is_null() -> None:
    made = struct_pb2.Struct()
    made.fields["a"].SetInParent()
    assert struct_values(made, "arguments") == {"a": None}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_json_lacks_is_named_with_its_place(number: float) -> None:
    call = chat_pb2.ToolCall(name="f", arguments=struct({"city": {"at": [0, number]}}))
    message = chat_pb2.ChatMessage(tool_calls=[chat_pb2.ToolCall(), call])
    with pytest.raises(InvalidArgument) as error:
        read_chat(chat_pb2.ChatRequest(messages=[chat_pb2.ChatMessage(), message]))
    place = "messages[1].tool_calls[1].arguments.city.at[1]"
    assert error.value.metadata == {"field": place}
    assert str(error.value) == f"{place} must be a number of JSON, not {number}"


@pytest.mark.parametrize("kind", ["struct_value", "list_value"])
def test_what_is_not_too_deep_fits_into_any_message(kind: str) -> None:
    def nested(levels: int) -> struct_pb2.Struct:
        made = struct_pb2.Struct()
        inner = made.fields["a"]
        for _ in range(levels - 2):
            if kind == "struct_value":
                inner = inner.struct_value.fields["a"]
            else:
                inner = inner.list_value.values.add()
        inner.struct_value.SetInParent()
        return made

    call = chat_pb2.ToolCall(arguments=nested(DEPTH_MAX))
    chat = chat_pb2.ChatRequest(messages=[chat_pb2.ChatMessage(tool_calls=[call])])
    request = generation_service_pb2.RenderRequest(chat=chat)
    assert type(request).FromString(request.SerializeToString()) == request
    assert read_chat(chat).messages[0].tool_calls[0].arguments
    with pytest.raises(InvalidArgument, match=r"^options must be nested at most 30 levels deep$"):
        struct_values(nested(DEPTH_MAX + 1), "options")
