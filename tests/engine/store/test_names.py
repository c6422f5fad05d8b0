from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamawire.engine.store import InvalidName, ModelName, SourceName, parse_source


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("llama3", "registry.ollama.ai/library/llama3:latest"),
        ("ns/m", "registry.ollama.ai/ns/m:latest"),
        ("host/m", "registry.ollama.ai/host/m:latest"),
        ("host:5000/ns/m:t", "host:5000/ns/m:t"),
        ("host:5000/ns/m", "host:5000/ns/m:latest"),
        ("hf.co/user/repo:Q4_K_M", "hf.co/user/repo:Q4_K_M"),
        ("http://h/ns/m", "h/ns/m:latest"),
        ("_a.b-c:1.0", "registry.ollama.ai/library/_a.b-c:1.0"),
        ("m" * 80, f"registry.ollama.ai/library/{'m' * 80}:latest"),
        (f"{'h' * 350}/n/m", f"{'h' * 350}/n/m:latest"),
    ],
)
def test_a_name_is_read_from_right_to_left(text: str, full: str) -> None:
    assert ModelName.parse(text).full == full


@pytest.mark.parametrize(
    "text",
    [
        "",
        "m:",
        ":t",
        "/m",
        "n//m",
        "h//n/m",
        "a/b/c/d",
        "my.ns/m",
        "m@sha256-00",
        "m m",
        "-m",
        ".m",
        "..",
        "../m",
        "../../m",
        "../../../etc/passwd",
        "m/..",
        "m:..",
        "n/m:../t",
        "m:t\n",
        "m\0",
        "ü",
        "m" * 81,
        f"m:{'t' * 81}",
        f"{'n' * 81}/m",
        f"{'h' * 351}/n/m",
        "http://m",
        "x" * 5000,
    ],
)
def test_what_breaks_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(InvalidName, match="invalid model name"):
        ModelName.parse(text)


@pytest.mark.parametrize(
    ("text", "display"),
    [
        ("llama3", "llama3:latest"),
        ("library/llama3:8b", "llama3:8b"),
        ("ns/m", "ns/m:latest"),
        ("REGISTRY.ollama.ai/Library/m", "m:latest"),
        ("h.x/library/m:t", "h.x/library/m:t"),
        ("https://h:1/n/m", "h:1/n/m:latest"),
    ],
)
def test_the_display_form_is_the_shortest_with_a_tag(text: str, display: str) -> None:
    assert ModelName.parse(text).display == display


def test_a_path_is_a_name_only_with_four_valid_parts() -> None:
    name = ModelName.parse("h:1/n/m:t")
    assert ModelName.from_path(name.path) == name
    for path in ("h/n/m", "h/n/m/t/x", "h/n/m/.DS_Store", "h/n.n/m/t"):
        with pytest.raises(InvalidName):
            ModelName.from_path(Path(path))


@given(st.text(alphabet="ab./:\\-_ A", max_size=20) | st.text(max_size=20))
def test_no_text_leads_out_of_the_folder(text: str) -> None:
    try:
        path = ModelName.parse(text).path
    except InvalidName:
        return
    assert not path.is_absolute()
    assert len(path.parts) == 4
    assert not any(part.startswith(".") for part in path.parts)


@pytest.mark.parametrize(
    ("text", "base", "source"),
    [
        ("m", "m", ""),
        (" m ", "m", ""),
        ("m:8b", "m:8b", ""),
        ("m:cloud", "m", "cloud"),
        ("m:LOCAL", "m", "local"),
        ("m:20b:cloud", "m:20b", "cloud"),
        ("m:20b-cloud", "m:20b", "cloud"),
        ("h:1/n/m-cloud", "h:1/n/m-cloud", ""),
    ],
)
def test_the_ending_says_where_to_run(text: str, base: str, source: str) -> None:
    assert parse_source(text) == SourceName(base, source)


def test_two_endings_are_one_too_many() -> None:
    with pytest.raises(InvalidName) as caught:
        parse_source("a:cloud:local")
    assert str(caught.value) == 'use either :local or :cloud, not both: "a:cloud:local"'


def test_a_cloud_name_is_stored_with_its_mark() -> None:
    assert parse_source("gpt-oss:20b:cloud").stored == "gpt-oss:20b-cloud"
    assert parse_source("gpt-oss:cloud").stored == "gpt-oss:cloud"
    assert parse_source("m:local").stored == "m"
