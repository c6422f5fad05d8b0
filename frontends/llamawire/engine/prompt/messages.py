"""A conversation, as the prompt needs it.

Everything here is frozen: a conversation is read by many (rendering, truncation, the journal) and
changed by none. Lists are tuples; JSON values stay as the JSON reader made them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = [
    "UNSET",
    "Message",
    "Parameters",
    "Property",
    "ThinkLevel",
    "ThinkValue",
    "Tool",
    "ToolCall",
]

JSON: TypeAlias = object

ThinkLevel: TypeAlias = Literal["low", "medium", "high", "max"]
ThinkValue: TypeAlias = bool | ThinkLevel | None
"""Whether and how hard a model is to think before it answers; UNSET when nobody said."""

UNSET: None = None


@dataclass(frozen=True)
class ToolCall:
    """A call of a tool that the model asked for."""

    name: str
    arguments: Mapping[str, JSON] = field(default_factory=dict)
    id: str = ""
    index: int = 0


@dataclass(frozen=True)
class Message:
    """One message; its role is `system`, `user`, `assistant`, `tool` or what a template knows."""

    role: str
    content: str = ""
    thinking: str = ""
    images: tuple[bytes, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_name: str = ""
    tool_call_id: str = ""


@dataclass(frozen=True)
class Property:
    """What a model may be told of one parameter of a tool: the part of JSON Schema that it gets."""

    any_of: tuple["Property", ...] = ()
    types: tuple[str, ...] = ()
    items: JSON = None
    description: str = ""
    enum: tuple[JSON, ...] = ()
    properties: Mapping[str, "Property"] = field(default_factory=dict)
    required: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, schema: Mapping[str, JSON]) -> "Property":
        """Of a schema; what has no place here is left out, as are values of wrong types."""
        type_ = schema.get("type")
        return cls(
            any_of=tuple(map(cls.from_json, _objects(schema.get("anyOf")))),
            types=(type_,) if isinstance(type_, str) else _strings(type_),
            items=schema.get("items"),
            description=_string(schema.get("description")),
            enum=_list(schema.get("enum")),
            properties=properties_from_json(schema.get("properties")),
            required=_strings(schema.get("required")),
        )

    def to_json(self) -> dict[str, JSON]:
        """The schema again: only what there is, the properties in the order in which they came."""
        fields: dict[str, JSON] = {
            "anyOf": [alternative.to_json() for alternative in self.any_of],
            "type": self.types[0] if len(self.types) == 1 else list(self.types),
            "items": self.items,
            "description": self.description,
            "enum": list(self.enum),
            "properties": {name: value.to_json() for name, value in self.properties.items()},
            "required": list(self.required),
        }
        return {name: value for name, value in fields.items() if value}


@dataclass(frozen=True)
class Parameters:
    """The parameters of a tool."""

    type: str = "object"
    properties: Mapping[str, Property] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    defs: JSON = None
    items: JSON = None

    def to_json(self) -> dict[str, JSON]:
        """The schema; `type` and `properties` always."""
        optional = {"$defs": self.defs, "items": self.items, "required": list(self.required)}
        return {
            "type": self.type,
            **{name: value for name, value in optional.items() if value},
            "properties": {name: value.to_json() for name, value in self.properties.items()},
        }


@dataclass(frozen=True)
class Tool:
    """A function that the model may ask for."""

    name: str
    description: str = ""
    parameters: Parameters = Parameters()
    type: str = "function"
    items: JSON = None

    @classmethod
    def from_json(cls, tool: Mapping[str, JSON]) -> "Tool":
        """Of `{"type": "function", "function": {"name": …, "parameters": …}}`.

        ValueError when it is nested so deeply that no model could make anything of it.
        """
        try:
            return cls._from_json(tool)
        except RecursionError:
            raise ValueError("the tool's parameters are nested too deeply") from None

    @classmethod
    def _from_json(cls, tool: Mapping[str, JSON]) -> "Tool":
        function = _object(tool.get("function"))
        schema = _object(function.get("parameters"))
        return cls(
            name=_string(function.get("name")),
            description=_string(function.get("description")),
            parameters=Parameters(
                type=_string(schema.get("type")),
                properties=properties_from_json(schema.get("properties")),
                required=_strings(schema.get("required")),
                defs=schema.get("$defs"),
                items=schema.get("items"),
            ),
            type=_string(tool.get("type")),
            items=tool.get("items"),
        )

    def function_to_json(self) -> dict[str, JSON]:
        """The `function` of the tool's JSON."""
        return {
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters.to_json(),
        }

    def to_json(self) -> dict[str, JSON]:
        """What `from_json` reads."""
        items = {"items": self.items} if self.items else {}
        return {"type": self.type, **items, "function": self.function_to_json()}


def properties_from_json(schemas: JSON) -> dict[str, Property]:
    """The properties of a schema of an object."""
    return {name: Property.from_json(_object(schema)) for name, schema in _object(schemas).items()}


def _object(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, Mapping) else {}


def _list(value: JSON) -> tuple[JSON, ...]:
    is_list = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
    return tuple(value) if is_list else ()  # type: ignore[arg-type]


def _objects(value: JSON) -> list[Mapping[str, JSON]]:
    return [_object(item) for item in _list(value)]


def _strings(value: JSON) -> tuple[str, ...]:
    return tuple(item for item in _list(value) if isinstance(item, str))


def _string(value: JSON) -> str:
    return value if isinstance(value, str) else ""
