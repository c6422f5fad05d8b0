"""The key file: read, changed under a running server, broken."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from llamawire.engine.access import KeyFile, KeyFileError, Keyring, new_key
from llamawire.engine.errors import (
    KeyInvalid,
    KeyMissing,
    ModelNotAllowed,
    QuotaExceeded,
    ScopeMissing,
)


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


def add(file: KeyFile, name: str = "ci", *scopes: str, **fields: object) -> str:
    text, key = new_key(name, scopes or ["generate"], **fields)  # type: ignore[arg-type]
    file.add(key)
    return text


def test_a_key_of_the_file_is_good(file: KeyFile) -> None:
    text = add(file)
    ring = Keyring(file)
    for form in (f"Bearer {text}", f"bearer   {text} "):
        assert ring.caller(form).key.name == "ci"


@pytest.mark.parametrize("form", ["", "Bearer", "Bearer ", "Basic dTpw", "lw_abcdefgh_x"])
def test_without_a_key_one_is_asked_for(file: KeyFile, form: str) -> None:
    add(file)
    with pytest.raises(KeyMissing):
        Keyring(file).caller(form)


def test_a_wrong_secret_and_an_unknown_key_are_told_alike(file: KeyFile) -> None:
    text = add(file)
    stranger, _ = new_key("x", ["admin"])
    for wrong in (text[:-1] + ("a" if text[-1] != "a" else "b"), stranger, "none", "lw_nobody00_"):
        with pytest.raises(KeyInvalid) as caught:
            Keyring(file).caller(f"Bearer {wrong}")
        assert str(caught.value) == "the API key is not valid"
        assert caught.value.metadata == {}


def test_a_change_of_the_file_counts_from_the_next_request(file: KeyFile) -> None:
    first = add(file, "first")
    ring = Keyring(file)
    caller = ring.caller(f"Bearer {first}")
    second = add(file, "second")
    assert ring.caller(f"Bearer {second}").key.name == "second"
    assert ring.caller(f"Bearer {first}") is caller
    file.revoke("first")
    with pytest.raises(KeyInvalid):
        ring.caller(f"Bearer {first}")


@pytest.mark.parametrize("content", [b"", b"{", b'{"keys": [{"id": 1}]}', b"\xff", None])
def test_a_file_that_breaks_leaves_the_keys_as_they_were(
    file: KeyFile, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    text = add(file)
    ring = Keyring(file)
    if content is None:
        file.path.unlink()
    else:
        file.path.write_bytes(content)
    assert ring.caller(f"Bearer {text}").key.name == "ci"
    assert "the keys stay as they were" in caplog.text
    with pytest.raises(KeyFileError, match="key file"):
        Keyring(file)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"scopes": ["root"]}, "key 0: scopes"),
        ({"requests_per_minute": "6"}, "requests_per_minute"),
        ({"requests_per_second": 6}, "requests_per_second"),
    ],
)
def test_a_mistake_in_the_file_is_named(
    file: KeyFile, entry: dict[str, object], words: str
) -> None:
    good = {"id": "abcd1234", "name": "n", "sha256": "0" * 64, "scopes": ["generate"]}
    file.path.write_text(json.dumps({"keys": [good | entry]}))
    with pytest.raises(KeyFileError, match=words):
        file.read()
    file.path.write_text(json.dumps({"keys": [good, good]}))
    with pytest.raises(KeyFileError, match="twice"):
        file.read()


def test_the_file_is_its_owners_and_keeps_its_mode(file: KeyFile) -> None:
    text = add(file)
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert text not in file.path.read_text()
    os.chmod(file.path, 0o640)
    add(file, "other")
    assert file.path.stat().st_mode & 0o777 == 0o640
    with pytest.raises(ValueError, match="already"):
        add(file, "other")
    assert [path.name for path in file.path.parent.iterdir()] == ["keys.json"]


def test_scopes_and_models_are_checked(file: KeyFile) -> None:
    text = add(file, "ci", "generate", models=["tiny"])
    caller = Keyring(file).caller(f"Bearer {text}")
    caller.check_scope(["models", "generate"])
    with pytest.raises(ScopeMissing, match="models"):
        caller.check_scope(["models"])
    caller.check_model("tiny")
    with pytest.raises(ModelNotAllowed, match="other"):
        caller.check_model("other")


def test_quotas_are_kept_over_a_change_of_the_file(file: KeyFile) -> None:
    now = [0.0]
    text = add(file, "ci", requests_per_minute=2, tokens_per_day=100)
    ring = Keyring(file, lambda: now[0])
    caller = ring.caller(f"Bearer {text}")
    caller.count_request()
    caller.count_request()
    caller.check_tokens()
    caller.spend_tokens(150)
    add(file, "other")
    again = ring.caller(f"Bearer {text}")
    with pytest.raises(QuotaExceeded, match="2 requests per minute; try again in 30 s") as caught:
        again.count_request()
    assert caught.value.retry_after_s == 30
    with pytest.raises(QuotaExceeded, match="100 tokens per day") as caught:
        again.check_tokens()
    assert caught.value.metadata["limit"] == "tokens_per_day"
    now[0] = 86_400.0
    again.count_request()
    again.check_tokens()
