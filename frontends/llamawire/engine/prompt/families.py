"""Families of chat formats: their names and stop lists are Ollama's, the templates are ours.

A template is written down by the marks of its turns. What makes all of them alike is in `_turns`:
a conversation that ends with the assistant is left open there, so that the model goes on with it.
"""

from dataclasses import dataclass
from typing import Final

__all__ = ["FAMILIES", "Family"]

_EOS: Final = "%eos%"
"""Stands for the text of the model's own end-of-sequence token."""


@dataclass(frozen=True)
class Family:
    """A format, in the variants that are about."""

    name: str
    stop: tuple[str, ...]
    templates: tuple[str, ...]
    needs_system: bool = False
    """Only a template that shows the system prompt is of this family."""

    def variants(self, eos: str) -> tuple[str, ...]:
        """The Go templates for a model whose end-of-sequence token is `eos`."""
        return tuple(template.replace(_EOS, eos) for template in self.templates)


def _same(head: str, end: str, generation: str) -> str:
    """A template whose turns look alike for all roles."""
    return (
        "{{ range $i, $_ := .Messages }}"
        "{{ $last := eq (len (slice $.Messages $i)) 1 }}"
        f"{head}{{{{ .Content }}}}"
        f'{{{{ if or (ne .Role "assistant") (not $last) }}}}{end}{{{{ end }}}}'
        f'{{{{ if and $last (ne .Role "assistant") }}}}{generation}{{{{ end }}}}'
        "{{ end }}"
    )


def _turns(
    user: tuple[str, str],
    assistant: tuple[str, str],
    generation: str,
    *,
    system: tuple[str, str] = ("", ""),
    inner_system: tuple[str, str] | None = None,
    start: str = "",
) -> str:
    """A template of turns, each given by what stands before and after its text.

    `system` stands before all turns, or `inner_system` in the first one of the user. `start` is
    there if there is no system prompt.
    """
    before = f"{{{{ if .System }}}}{system[0]}{{{{ .System }}}}{system[1]}"
    before += (f"{{{{ else }}}}{start}" if start else "") + "{{ end }}"
    inside = ""
    if inner_system is not None:
        before = "{{ $system := .System }}"
        inside = f"{{{{ if $system }}}}{inner_system[0]}{{{{ $system }}}}{inner_system[1]}"
        inside += '{{ $system = "" }}{{ end }}'
    return (
        f"{before}{{{{ range $i, $_ := .Messages }}}}"
        "{{ $last := eq (len (slice $.Messages $i)) 1 }}"
        f'{{{{ if eq .Role "user" }}}}{user[0]}{inside}{{{{ .Content }}}}{user[1]}'
        f"{{{{ if $last }}}}{generation}{{{{ end }}}}"
        f'{{{{ else if eq .Role "assistant" }}}}{assistant[0]}{{{{ .Content }}}}'
        f"{{{{ if not $last }}}}{assistant[1]}{{{{ end }}}}"
        "{{ end }}{{ end }}"
    )


def _instructions(user: str, before: str, after: str) -> str:
    """Mistral's format, whose spaces differ from model to model."""
    return _turns((user, " [/INST]"), (before, after), "", inner_system=("", "\n\n"))


def _vicuna(system_end: str, user_end: str, end: str) -> str:
    return _turns(("USER: ", user_end), ("ASSISTANT: ", end), "ASSISTANT:", system=("", system_end))


_CODER: Final = (
    "You are an exceptionally intelligent coding assistant that consistently delivers accurate "
    "and reliable responses to user instructions.\n\n"
)
_GEMMA: Final = _turns(
    ("<start_of_turn>user\n", "<end_of_turn>\n"),
    ("<start_of_turn>model\n", "<end_of_turn>\n"),
    "<start_of_turn>model\n",
    inner_system=("", "\n\n"),
)
_COMMAND_R: Final = "<|START_OF_TURN_TOKEN|><|{}_TOKEN|>"
_COMMAND_R_END: Final = "<|END_OF_TURN_TOKEN|>"
_OPENCHAT_END: Final = "<|end_of_turn|>"
_STEP: Final = " <step> "


def _openchat(system: str) -> str:
    return _turns(
        ("GPT4 Correct User: ", _OPENCHAT_END),
        ("GPT4 Correct Assistant: ", _OPENCHAT_END),
        "GPT4 Correct Assistant:",
        system=(system, _OPENCHAT_END),
    )


FAMILIES: Final = (
    Family(
        "chatml",
        ("<|im_start|>", "<|im_end|>"),
        (_same("<|im_start|>{{ .Role }}\n", "<|im_end|>\n", "<|im_start|>assistant\n"),),
    ),
    Family(
        "llama3-instruct",
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        (
            _same(
                "<|start_header_id|>{{ .Role }}<|end_header_id|>\n\n",
                "<|eot_id|>",
                "<|start_header_id|>assistant<|end_header_id|>\n\n",
            ),
        ),
    ),
    Family(
        "llama2-chat",
        ("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"),
        (
            _turns(
                ("[INST] ", " [/INST]"),
                (" ", f" {_EOS}<s>"),
                "",
                inner_system=("<<SYS>>\n", "\n<</SYS>>\n\n"),
            ),
        ),
    ),
    Family(
        "mistral-instruct",
        ("<|im_start|>", "<|im_end|>"),
        (
            _instructions("[INST] ", "", _EOS),
            _instructions("[INST] ", "", f"{_EOS} "),
            _instructions("[INST] ", " ", _EOS),
            _instructions("[INST] ", " ", f"{_EOS} "),
            _instructions(" [INST] ", " ", _EOS),
        ),
    ),
    Family("gemma3-instruct", ("<end_of_turn>",), (_GEMMA,), needs_system=True),
    Family("gemma-instruct", ("<start_of_turn>", "<end_of_turn>"), (_GEMMA,)),
    Family(
        "phi-3",
        ("<|end|>", "<|system|>", "<|user|>", "<|assistant|>"),
        (_same("<|{{ .Role }}|>\n", "<|end|>\n", "<|assistant|>\n"),),
    ),
    Family(
        "zephyr",
        ("<|system|>", "</s>", "<|user|>", "<|assistant|>"),
        (_same("<|{{ .Role }}|>\n", f"{_EOS}\n", "<|assistant|>\n"),),
    ),
    Family(
        "vicuna",
        ("USER:", "ASSISTANT:"),
        (
            _vicuna("\n\n", " ", _EOS),
            _vicuna(" ", " ", _EOS),
            _vicuna("\n\n", "\n", f"{_EOS}\n"),
        ),
    ),
    Family(
        "alpaca",
        ("### Instruction:", "### Response"),
        (
            _turns(
                ("### Instruction:\n", "\n\n"),
                ("### Response:\n", "\n\n"),
                "### Response:\n",
                system=("", "\n\n"),
            ),
        ),
    ),
    Family(
        "command-r",
        ("<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
        (
            _turns(
                (_COMMAND_R.format("USER"), _COMMAND_R_END),
                (_COMMAND_R.format("CHATBOT"), _COMMAND_R_END),
                _COMMAND_R.format("CHATBOT"),
                system=(_COMMAND_R.format("SYSTEM"), _COMMAND_R_END),
            ),
        ),
    ),
    Family(
        "falcon-instruct",
        ("User:", "Assistant:"),
        (
            _turns(("\n\nUser: ", ""), ("\n\nAssistant: ", ""), "\n\nAssistant:", system=("", "")),
            _turns(("User: ", "\n"), ("Falcon: ", "\n"), "Falcon:", system=("System: ", "\n")),
        ),
    ),
    Family("openchat", (_OPENCHAT_END,), (_openchat("GPT4 Correct System: "), _openchat(""))),
    Family(
        "granite-instruct",
        ("System:", "Question:", "Answer:"),
        (
            _turns(
                ("Question:\n", "\n\n"),
                ("Answer:\n", "\n\n"),
                "Answer:\n",
                system=("System:\n", "\n\n"),
            ),
        ),
    ),
    Family(
        "solar-instruct",
        ("### System:", "### User:", "### Assistant"),
        (
            _turns(
                ("### User:\n", "\n\n"),
                ("### Assistant:\n", "\n\n"),
                "### Assistant:\n",
                system=("### System:\n", "\n\n"),
            ),
        ),
    ),
    Family(
        "starcoder2-instruct",
        ("### Instruction", "### Response", "<|endoftext|>"),
        (
            _turns(
                ("### Instruction\n", "\n\n"),
                ("### Response\n", f"{_EOS}\n\n"),
                "### Response\n",
                system=("", "\n\n"),
                start=_CODER,
            ),
        ),
    ),
    Family(
        "magicoder",
        ("@@ Instruction", "@@ Response"),
        (
            _turns(
                ("@@ Instruction\n", "\n\n"),
                ("@@ Response\n", f"{_EOS}\n\n"),
                "@@ Response\n",
                system=("", "\n\n"),
                start=_CODER,
            ),
        ),
    ),
    Family(
        "chatqa",
        ("System:", "User:", "Assistant:", "<|begin_of_text|>"),
        (
            _turns(
                ("User: ", "\n\n"),
                ("Assistant: ", "\n\n"),
                "Assistant:",
                system=("System: ", "\n\n"),
            ),
        ),
    ),
    Family(
        "codellama-70b-instruct",
        ("Source:", "Destination:", "<step>"),
        (
            _turns(
                ("Source: user\n\n ", _STEP),
                ("Source: assistant\n\n ", _STEP),
                "Source: assistant\nDestination: user\n\n ",
                system=("Source: system\n\n ", _STEP),
            ),
        ),
    ),
    Family(
        "alfred",
        ("<start_system>", "<end_message>", "<start_user>", "<start_assistant>"),
        (
            _turns(
                ("<start_user>", "<end_message>"),
                ("<start_assistant>", "<end_message>"),
                "<start_assistant>",
                system=("<start_system>", "<end_message>"),
            ),
        ),
    ),
)
