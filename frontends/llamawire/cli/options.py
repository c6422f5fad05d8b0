"""Parameters by name and the Options of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llamawire.modelfile import ModelfileError, ParameterValue, read_parameters
from llamawire.v1.options_pb2 import Options

__all__ = ["options_message", "read_parameter"]


def read_parameter(name: str, texts: Sequence[str]) -> ParameterValue:
    """The value that a parameter takes from `texts`; only `stop` takes more than one.

    Raises ModelfileError for a name that there is not and a value of another type.
    """
    values = read_parameters((name, text) for text in texts).values
    if name not in values or name not in Options.DESCRIPTOR.fields_by_name:
        raise ModelfileError(f"unknown parameter '{name}'")
    try:
        options_message(values)
    except ValueError as error:
        raise ModelfileError(f"invalid int value {list(texts)}".replace("'", "")) from error
    return values[name]


def options_message(parameters: Mapping[str, ParameterValue]) -> Options:
    """Raises ValueError for a number that its field cannot hold."""
    options = Options()
    for name, value in parameters.items():
        if isinstance(value, list):
            options.stop.values.extend(value)
        else:
            setattr(options, name, value)
    return options
