"""The targets of csrc/fuzz: built by its run.sh; here is what they begin with."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["RUN", "SEEDS", "WORDS", "csrc_targets"]

RUN = Path(__file__).parents[2] / "csrc" / "fuzz" / "run.sh"
MISSING_CLANG = 77

JSON = r"""root ::= object
value ::= object | array | string | number | ("true" | "false") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ws
ws ::= | " " | "\n" [ \t]{0,20}
"""

SEEDS: dict[str, list[bytes]] = {
    # A grammar, a NUL, and what steers a text through it.
    "gbnf_fuzz": [
        JSON.encode() + b"\0qwertyuiop~asdfghjkl~zxcvbnm1234567890",
        b'root ::= "a" root | [b-d]{2,3} (x | "z")*\nx ::= [^a-z\\u00e9]? "q" .\n\0abc~~defxyz',
        b'root ::= (a? b*){0,9} # note\na ::= "\\U0001F600" | ""\nb ::= a "x"+\n\0aAbB~cC~dD',
    ],
}
WORDS: dict[str, list[str]] = {
    "gbnf_fuzz": [
        "::=", "root", "root ::= ", "a ::= ", '"', "[", "]", "[^", "(", ")", "|", "*", "+", "?",
        "{", "}", "{0,", "{2000}", "{16}", "\\x41", "\\u00e9", "\\UFFFFFFFF", "-", "#", "\n", "\0",
    ],
}  # fmt: skip


def csrc_targets() -> tuple[list[str], str]:
    """Builds them. Their names, or none and a sentence that says what is missing."""
    built = subprocess.run([str(RUN)], capture_output=True, text=True, check=False)
    if built.returncode == MISSING_CLANG:
        return [], built.stdout.strip()
    if built.returncode:
        raise RuntimeError(f"csrc/fuzz/run.sh failed:\n{built.stdout}{built.stderr}")
    return built.stdout.split(), ""
