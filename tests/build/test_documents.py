"""What documents say of the code is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llamawire.engine.settings import VARIABLES

ROOT = Path(__file__).parents[2]
TEXTS = ("", ".md", ".yaml", ".yml", ".json", ".service")
DOCUMENTS = [
    ROOT / "README.md",
    *(
        path
        for folder in ("docs", "deploy")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.is_file() and path.suffix in TEXTS
    ),
]
# Of the command line, the adapter, the build and the tests.
OTHERS = {
    "LLAMAWIRE_API_KEY", "LLAMAWIRE_CACERT", "LLAMAWIRE_CLIENT_CERT", "LLAMAWIRE_CLIENT_KEY",
    "LLAMAWIRE_CUDA", "LLAMAWIRE_HIP", "LLAMAWIRE_METAL", "LLAMAWIRE_VULKAN", "LLAMAWIRE_PORTABLE",
    "LLAMAWIRE_PURE", "LLAMAWIRE_FUZZ", "LLAMAWIRE_CANCELS", "LLAMAWIRE_FUZZ_SEED",
    "LLAMAWIRE_DEBUG", "LLAMAWIRE_X",
}  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_setting_that_is_named_is_one(document: Path) -> None:
    known = OTHERS | {name for names, _ in VARIABLES.values() for name in names}
    named = set(re.findall(r"LLAMAWIRE_[A-Z_]*[A-Z]\b(?!_)", document.read_text()))
    assert named <= known


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_that_is_named_is_one(document: Path) -> None:
    text = document.read_text()
    sources = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]
    tests = set(re.findall(r"def (test_\w+)\(", "\n".join(sources)))
    assert set(re.findall(r"`(test_\w+)`", text)) <= tests
    assert all((ROOT / path).exists() for path in re.findall(r"\btests/[\w/.]+\w", text))


def test_every_cve_has_its_row() -> None:
    page = (ROOT / "docs" / "cves.md").read_text()
    rows = re.findall(r"^\| (CVE-.*?) \| .*? \| .+ \|$", page, re.MULTILINE)
    assert len(rows) > 60
    for numbers in rows:
        assert re.fullmatch(r"(CVE-\d{4}-\d{4,6}( \([\w.-]+\))?(, )?)+", numbers)
