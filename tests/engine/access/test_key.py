"""What a key may do, and what the file says of it."""

from __future__ import annotations

import pytest

from llamawire.engine.access import Key, new_key
from llamawire.engine.access.key import key_id


def test_a_key_is_known_by_its_hash_alone() -> None:
    text, key = new_key("ci", ["generate"])
    other, _ = new_key("ci", ["generate"])
    assert key.is_for(text)
    assert not key.is_for(other)
    assert not key.is_for(text[:-1])
    assert key_id(text) == key.id
    assert text.rpartition("_")[2] not in repr(key)


@pytest.mark.parametrize("text", ["", "lw_", "none", "sk-123", "lw_ABCDEFGH_" + "a" * 43])
def test_other_texts_are_no_keys(text: str) -> None:
    assert key_id(text) is None


def test_admin_has_every_scope_and_the_others_their_own() -> None:
    _, admin = new_key("a", ["admin"])
    _, some = new_key("b", ["generate"])
    assert [admin.has_scope(scope) for scope in ("generate", "models", "admin")] == [True] * 3
    assert [some.has_scope(scope) for scope in ("generate", "models", "admin")] == [
        True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "allowed", "refused"),
    [
        ("tiny", ["tiny", "TINY:latest", " tiny ", "library/tiny"], ["tiny:x", "tiny2", "a/tiny"]),
        ("qwen3:8b", ["qwen3:8b"], ["qwen3", "qwen3:8b-q4"]),
        ("qwen3:*", ["qwen3", "qwen3:8b"], ["qwen"]),
        ("team/*", ["team/a", "team/a:x", "Team/B"], ["tiny", "other/a"]),
        ("hf.co/*", ["hf.co/a/b:Q4"], ["hf.co.evil/a/b", "b"]),
        ("m[ab]", [], ["ma", "mb"]),
        ("m?*", [], ["mab"]),
        ("*", ["anything", "a/b:c"], ["../x", "", "a b"]),
    ],
)
def test_models_are_allowed_by_name(pattern: str, allowed: list[str], refused: list[str]) -> None:
    _, key = new_key("k", ["generate"], models=[pattern])
    assert [name for name in allowed if not key.allows_model(name)] == []
    assert [name for name in refused if key.allows_model(name)] == []


def test_without_a_list_every_model_is_allowed() -> None:
    _, key = new_key("k", ["generate"])
    assert key.allows_model("anything")


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "short"}, {"id": "../../ab"}, {"sha256": "x"}, {"name": ""}, {"name": "a\nb"},
        {"name": "n" * 81}, {"scopes": ()}, {"scopes": ("root",)}, {"requests_per_minute": -1},
        {"tokens_per_day": -1},
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(fields: dict[str, object]) -> None:
    entry = {"id": "abcd1234", "name": "n", "sha256": "0" * 64, "scopes": ("generate",)}
    assert Key(**entry).mistake is None  # type: ignore[arg-type]
    mistake = Key(**(entry | fields)).mistake  # type: ignore[arg-type]
    assert mistake is not None
    assert any(word in mistake for word in ("id", "sha256", "name", "scopes", "limit"))
