"""`llamawire keys`."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamawire.engine.access import KeyFile, Keyring
from llamawire.engine.access.__main__ import main

Capture = pytest.CaptureFixture[str]


def test_keys_are_made_listed_and_revoked(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "keys.json"
    place = ("--file", str(path))
    limits = ("--requests-per-minute", "60", "--tokens-per-day", "1000")
    scopes = ("--scope", "generate", "--scope", "models", "--model", "tiny", "--model", "team/*")
    assert main(["create", "ci", *scopes, *limits, *place]) == 0
    made = capsys.readouterr()
    text = made.out.strip()
    key = Keyring(KeyFile(path)).caller(f"Bearer {text}").key
    assert key.scopes == ("generate", "models")
    assert key.models == ("tiny", "team/*")
    assert (key.requests_per_minute, key.tokens_per_day) == (60, 1000)
    assert main(["list", *place]) == 0
    listed = capsys.readouterr().out
    assert all(word in listed for word in (key.id, "ci", "tiny,team/*", "60/min", "1000 tokens"))
    assert text not in listed
    assert main(["revoke", key.id, *place]) == 0
    assert KeyFile(path).read() == []


def test_a_key_is_for_generation_unless_told_otherwise(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "keys.json"
    assert main(["create", "ci", "--file", str(path)]) == 0
    assert KeyFile(path).read()[0].scopes == ("generate",)


def test_what_goes_wrong_is_a_sentence(tmp_path: Path, capsys: Capture) -> None:
    place = ("--file", str(tmp_path / "keys.json"))
    assert main(["create", "ci"]) == 1
    assert "--file" in capsys.readouterr().err
    main(["create", "ci", *place])
    for arguments, words in (
        (["create", "ci", *place], "already"),
        (["create", "", *place], "name is not"),
        (["create", "x", "--tokens-per-day", "-5", *place], "below 0"),
        (["revoke", "nobody", *place], "no key"),
        (["list", "--file", str(tmp_path / "none")], "No such file"),
        (["create", "x", "--file", str(tmp_path / "no" / "keys")], "No such file"),
    ):
        capsys.readouterr()
        assert main(arguments) == 1
        assert words in capsys.readouterr().err
