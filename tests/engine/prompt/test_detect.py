"""Go templates found for Jinja templates by what both of them write."""

import pytest

from llamawire.engine.prompt import GoPrompt, JinjaPrompt, Message, detect
from llamawire.engine.prompt.families import FAMILIES

# Each written as models have it: with loops, conditions and refusals, not as our own are.
ALTERNATE = (
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
)
SPLIT_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}"
    "{% set first = messages[0]['content'] %}"
    "{% else %}{% set rest = messages %}{% set first = false %}{% endif %}"
)
CODER = (
    "You are an exceptionally intelligent coding assistant that consistently delivers accurate "
    "and reliable responses to user instructions.\\n\\n"
)


def by_role(system: str, user: str, assistant: str, generation: str, start: str = "") -> str:
    """A loop over the messages with an expression for each role."""
    return (
        f"{start}{{% for message in messages %}}"
        f"{{% if message['role'] == 'system' %}}{{{{ {system} }}}}"
        f"{{% elif message['role'] == 'user' %}}{{{{ {user} }}}}"
        f"{{% else %}}{{{{ {assistant} }}}}{{% endif %}}"
        "{% endfor %}{% if add_generation_prompt %}{{ '" + generation + "' }}{% endif %}"
    )


REFUSE = "raise_exception('no system role')"
CONTENT = "message['content']"

TEMPLATES = {
    "chatml": (
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
        "message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    ),
    "llama3-instruct": (
        "{% for message in messages %}{% set content = '<|start_header_id|>' + message['role'] + "
        "'<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' %}"
        "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}"
        "{{ content }}{% endfor %}"
        "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}"
    ),
    "llama2-chat": (
        SPLIT_SYSTEM + "{% for message in rest %}" + ALTERNATE +
        "{% if loop.index0 == 0 and first != false %}"
        "{% set content = '<<SYS>>\\n' + first + '\\n<</SYS>>\\n\\n' + message['content'] %}"
        "{% else %}{% set content = message['content'] %}{% endif %}"
        "{% if message['role'] == 'user' %}"
        "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
        "{% else %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
    ),
    "mistral-instruct": (
        "{{ bos_token }}{% for message in messages %}" + ALTERNATE +
        "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
        "{% else %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}"
    ),
    "gemma3-instruct": (
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
        "{% set before = messages[0]['content'] + '\\n\\n' %}{% set rest = messages[1:] %}"
        "{% else %}{% set before = '' %}{% set rest = messages %}{% endif %}"
        "{% for message in rest %}{{ '<start_of_turn>' + "
        "('model' if message['role'] == 'assistant' else message['role']) + '\\n' + "
        "(before if loop.first else '') }}{{ message['content'] | trim }}"
        "{{ '<end_of_turn>\\n' }}{% endfor %}{{ '<start_of_turn>model\\n' }}"
    ),
    "gemma-instruct": (
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ " + REFUSE + " }}{% endif %}"
        "{% for message in messages %}{{ '<start_of_turn>' + "
        "('model' if message['role'] == 'assistant' else message['role']) + '\\n' + "
        "message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}"
        "{{ '<start_of_turn>model\\n' }}"
    ),
    "phi-3": (
        "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' + '\\n' + "
        "message['content'] + '<|end|>\\n' }}{% endfor %}{{ '<|assistant|>\\n' }}"
    ),
    "zephyr": (
        "{% for message in messages %}\n{% if message['role'] == 'user' %}\n"
        "{{ '<|user|>\\n' + message['content'] + eos_token }}\n"
        "{% elif message['role'] == 'system' %}\n"
        "{{ '<|system|>\\n' + message['content'] + eos_token }}\n"
        "{% elif message['role'] == 'assistant' %}\n"
        "{{ '<|assistant|>\\n'  + message['content'] + eos_token }}\n{% endif %}\n"
        "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n"
        "{% endfor %}"
    ),
    "vicuna": by_role(
        f"{CONTENT} + '\\n\\n'", f"'USER: ' + {CONTENT} + ' '",
        f"'ASSISTANT: ' + {CONTENT} + eos_token", "ASSISTANT:",
    ),
    "alpaca": by_role(
        f"{CONTENT} + '\\n\\n'", f"'### Instruction:\\n' + {CONTENT} + '\\n\\n'",
        f"'### Response:\\n' + {CONTENT} + '\\n\\n'", "### Response:\\n",
    ),
    "command-r": "{{ bos_token }}" + by_role(
        f"'<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>' + {CONTENT} + '<|END_OF_TURN_TOKEN|>'",
        f"'<|START_OF_TURN_TOKEN|><|USER_TOKEN|>' + {CONTENT}.strip() + '<|END_OF_TURN_TOKEN|>'",
        f"'<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' + {CONTENT}.strip() + '<|END_OF_TURN_TOKEN|>'",
        "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>",
    ),
    "falcon-instruct": (
        "{% for message in messages %}{% if not loop.first %}{{ '\\n' }}{% endif %}"
        "{{ {'system': 'System: ', 'user': 'User: ', 'assistant': 'Falcon: '}[message['role']] }}"
        "{{ message['content'] }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '\\n' + 'Falcon:' }}{% endif %}"
    ),
    "openchat": (
        "{{ bos_token }}{% for message in messages %}{{ 'GPT4 Correct ' + message['role'].title() "
        "+ ': ' + message['content'] + '<|end_of_turn|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'GPT4 Correct Assistant:' }}{% endif %}"
    ),
    "granite-instruct": by_role(
        f"'System:\\n' + {CONTENT} + '\\n\\n'", f"'Question:\\n' + {CONTENT} + '\\n\\n'",
        f"'Answer:\\n' + {CONTENT} + '\\n\\n'", "Answer:\\n",
    ),
    "solar-instruct": by_role(
        f"'### System:\\n' + {CONTENT} + '\\n\\n'", f"'### User:\\n' + {CONTENT} + '\\n\\n'",
        f"'### Assistant:\\n' + {CONTENT} + '\\n\\n'", "### Assistant:\\n",
    ),
    "starcoder2-instruct": by_role(
        REFUSE, f"'### Instruction\\n' + {CONTENT} + '\\n\\n'",
        f"'### Response\\n' + {CONTENT} + eos_token + '\\n\\n'", "### Response\\n",
        "{{ bos_token }}{{ '" + CODER + "' }}",
    ),
    "magicoder": by_role(
        REFUSE, f"'@@ Instruction\\n' + {CONTENT} + '\\n\\n'",
        f"'@@ Response\\n' + {CONTENT} + eos_token + '\\n\\n'", "@@ Response\\n",
        "{{ bos_token }}{{ '" + CODER + "' }}",
    ),
    "chatqa": by_role(
        f"'System: ' + {CONTENT} + '\\n\\n'", f"'User: ' + {CONTENT} + '\\n\\n'",
        f"'Assistant: ' + {CONTENT} + '\\n\\n'", "Assistant:",
    ),
    "codellama-70b-instruct": (
        "{% for message in messages %}{% if loop.index0 == 0 %}{{ '<s>' }}{% endif %}"
        "{{ 'Source: ' + message['role'] + '\\n\\n ' + message['content'] | trim + ' <step> ' }}"
        "{% endfor %}{{ 'Source: assistant\\nDestination: user\\n\\n ' }}"
    ),
    "alfred": (
        "{% for message in messages %}{{ '<start_' + message['role'] + '>' + message['content'] + "
        "'<end_message>' }}{% endfor %}{{ '<start_assistant>' }}"
    ),
}  # fmt: skip


def found(text: str, bos: str = "<s>", eos: str = "</s>", adds_bos: bool = True) -> str | None:
    match = detect(text, bos, eos, adds_bos=adds_bos)
    return match and match[0].name


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_known_by_what_it_writes(name: str) -> None:
    assert found(TEMPLATES[name]) == name


def test_every_family_is_found_by_some_template() -> None:
    assert {family.name for family in FAMILIES} == set(TEMPLATES)


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_templates_agree_on_other_conversations_too(name: str) -> None:
    match = detect(TEMPLATES[name], "<s>", "</s>", adds_bos=True)
    assert match is not None
    go, jinja = GoPrompt(match[1]), JinjaPrompt(TEMPLATES[name], "<s>", "</s>")
    turns = [
        Message(("user", "assistant")[i % 2], f"turn {i}: «é»\n\t{{{{ x }}}}") for i in range(9)
    ]
    for length in (1, 3, 5, 7, 9):
        assert go.render(turns[:length]) == jinja.render(turns[:length]).removeprefix("<s>")


def test_a_conversation_that_ends_with_the_assistant_is_left_open() -> None:
    for text in TEMPLATES.values():
        match = detect(text, "<s>", "</s>", adds_bos=True)
        assert match is not None
        prompt = GoPrompt(match[1]).render([Message("user", "a"), Message("assistant", "So be")])
        assert prompt.endswith("So be")


def test_a_system_prompt_that_a_template_would_drop_is_kept() -> None:
    text = (
        "{% for message in messages %}{% if message['role'] == 'user' %}{{ '<|user|>\\n' + "
        "message['content'] + '<|end|>\\n<|assistant|>\\n' }}{% elif message['role'] == "
        "'assistant' %}{{ message['content'] + '<|end|>\\n' }}{% endif %}{% endfor %}"
    )
    match = detect(text, "", "", adds_bos=False)
    assert match is not None
    assert match[0].name == "phi-3"
    assert "Be kind." in GoPrompt(match[1]).render([Message("system", "Be kind.")])


@pytest.mark.parametrize(
    "text",
    [
        "{{ nothing",
        "plain text",
        "{{ raise_exception('never') }}",
        "{% for i in range(10**9) %}{% endfor %}",
        # What it writes beside the turns has no place in the family's template.
        "You are Qwen.\n" + TEMPLATES["chatml"],
        TEMPLATES["chatml"] + "{{ strftime_now('%Y') }}",
        TEMPLATES["chatml"].replace("user", "human").replace("message['role']", "'x'"),
        # It can do more than our template.
        TEMPLATES["chatml"] + "{% if tools %}{{ tools | tojson }}{% endif %}",
        TEMPLATES["chatml"] + "{% if false %}<think></think>{% endif %}",
        # A system prompt in another place than ours would have it.
        "{% for message in messages if message['role'] != 'system' %}{{ '<|im_start|>' + "
        "message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}"
        "{{ '<|im_start|>assistant\\n' }}{% if messages[0]['role'] == 'system' %}"
        "{{ messages[0]['content'] }}{% endif %}",
    ],
)
def test_a_template_that_does_anything_else_is_used_itself(text: str) -> None:
    assert found(text) is None


def test_bos_is_written_by_one_side_only() -> None:
    text = TEMPLATES["phi-3"]
    assert found(text, adds_bos=True) == "phi-3"
    assert found(text, adds_bos=False) is None
    assert found(text, bos="", adds_bos=False) == "phi-3"


def test_the_end_of_a_turn_is_the_models_own_token() -> None:
    match = detect(TEMPLATES["zephyr"], "", "<|endoftext|>", adds_bos=False)
    assert match is not None
    assert "<|endoftext|>" in match[1]
    assert found(TEMPLATES["zephyr"], eos="{{ .System }}") is None
