"""Conversations: the engine's dataclasses and the public messages."""

from __future__ import annotations

import json

from google.protobuf.json_format import ParseDict

from llamawire.engine.completion import Completion
from llamawire.engine.errors import InvalidArgument
from llamawire.engine.job import Accepted, Finished, Piece
from llamawire.engine.prompt import Message, Tool, ToolCall
from llamawire.engine.requests import MESSAGES_MAX, TOOLS_MAX, ChatRequest
from llamawire.engine.rpc.convert import (
    finished_message,
    given_options,
    keep_alive_s,
    logprob_message,
    read_format,
    read_think,
    read_thinking_budget,
    started_message,
    timeout_s,
)
from llamawire.engine.rpc.structs import struct_values
from llamawire.v1 import chat_pb2 as pb

__all__ = ["chat_reply", "read_chat"]


def read_chat(request: pb.ChatRequest) -> ChatRequest:
    """The request as the engine reads it; InvalidArgument names a field that cannot be."""
    check_counts(request)
    return ChatRequest(
        model=request.model,
        messages=tuple(
            read_message(message, f"messages[{index}]")
            for index, message in enumerate(request.messages)
        ),
        tools=tuple(read_tool(tool, index) for index, tool in enumerate(request.tools)),
        format=read_format(request.format),
        options=given_options(request.options),
        keep_alive_s=keep_alive_s(request.keep_alive) if request.HasField("keep_alive") else None,
        truncate=request.truncate if request.HasField("truncate") else True,
        shift=request.shift if request.HasField("shift") else None,
        think=read_think(request.think) if request.HasField("think") else None,
        thinking_budget=read_thinking_budget(request.think),
        top_logprobs=request.logprobs.top if request.HasField("logprobs") else None,
        timeout_s=timeout_s(request.timeout) if request.HasField("timeout") else None,
        priority=request.priority,
        user=request.user,
    )


def check_counts(request: pb.ChatRequest) -> None:
    """Before a million messages are converted to find that they are too many."""
    check_count("messages", len(request.messages), MESSAGES_MAX)
    check_count("tools", len(request.tools), TOOLS_MAX)
    for index, message in enumerate(request.messages):
        check_count(f"messages[{index}].tool_calls", len(message.tool_calls), TOOLS_MAX)


def check_count(field: str, count: int, count_max: int) -> None:
    if count > count_max:
        raise InvalidArgument(f"{field} must be at most {count_max}", field=field)


def read_message(message: pb.ChatMessage, field: str) -> Message:
    return Message(
        role=message.role.lower(),
        content=message.content,
        thinking=message.thinking,
        images=tuple(message.images),
        tool_calls=tuple(
            read_call(call, f"{field}.tool_calls[{index}]")
            for index, call in enumerate(message.tool_calls)
        ),
        tool_name=message.tool_name,
        tool_call_id=message.tool_call_id,
    )


def read_call(call: pb.ToolCall, field: str) -> ToolCall:
    arguments = struct_values(call.arguments, f"{field}.arguments")
    return ToolCall(call.name, arguments, call.id, call.index)


def read_tool(tool: pb.Tool, index: int) -> Tool:
    field = f"tools[{index}].parameters_json_schema"
    try:
        parameters = json.loads(tool.parameters_json_schema or "{}")
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"{field} is not JSON: {error}", field=field) from error
    if not isinstance(parameters, dict):
        raise InvalidArgument(f"{field} must be an object", field=field)
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return Tool.from_json({"type": "function", "function": function})


def chat_reply(completion: Completion, group: Accepted | list[Piece] | Finished) -> pb.ChatResponse:
    """One message of the stream that answers a conversation."""
    if isinstance(group, Accepted):
        return pb.ChatResponse(started=started_message(completion, group))
    if isinstance(group, Finished):
        return pb.ChatResponse(finished=finished_message(completion, group))
    return pb.ChatResponse(pieces=pb.ChatPieces(pieces=[piece_message(each) for each in group]))


def piece_message(piece: Piece) -> pb.ChatPiece:
    return pb.ChatPiece(
        content=piece.text,
        thinking=piece.thinking,
        tool_calls=[call_message(call) for call in piece.calls],
        token_ids=piece.token_ids,
        logprobs=map(logprob_message, piece.logprobs),
    )


def call_message(call: ToolCall) -> pb.ToolCall:
    message = pb.ToolCall(id=call.id, index=call.index, name=call.name)
    ParseDict(dict(call.arguments), message.arguments)
    return message
