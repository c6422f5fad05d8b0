"""Modelfiles: text to commands and back. Speaks no network and reads no files."""

from llamawire.modelfile.errors import ModelfileError
from llamawire.modelfile.modelfile import KEYWORDS, ROLES, Command, Modelfile
from llamawire.modelfile.parameters import Parameters, ParameterValue, read_parameters
from llamawire.modelfile.parse import decode, parse

__all__ = [
    "KEYWORDS",
    "ROLES",
    "Command",
    "Modelfile",
    "ModelfileError",
    "ParameterValue",
    "Parameters",
    "decode",
    "parse",
    "read_parameters",
]
