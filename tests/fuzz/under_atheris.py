"""One target of `targets.py` under atheris: `python -m fuzz.under_atheris NAME`, and libFuzzer's
options and folders behind it."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["llamawire"]):
    from fuzz.targets import TARGETS


def main() -> None:
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[name].check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
