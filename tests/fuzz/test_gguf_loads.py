"""A short run of what `make fuzz ONLY=gguf_loads` runs for long."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

pytest.importorskip("llamawire.native", reason="the extension module is not built")

from fuzz.gguf_loads import Loader, check
from fuzz.gguf_mutations import write_liar
from gguf_files import tiny_llama, write_gguf
from llamawire.engine.store import InvalidGguf
from random_models import random_model

CASES = 12


def test_a_process_that_dies_of_a_file_is_told_from_one_that_loads_or_refuses_it(
    tmp_path: Path,
) -> None:
    sound = tiny_llama(tmp_path / "sound", embedding=16, blocks=1, feed_forward=32)
    keys, tensors = random_model("qwen2")
    tensors["output_norm.weight"] = tensors["output_norm.weight"].astype("int32")
    deadly = write_gguf(tmp_path / "deadly", keys, tensors)  # the validator would refuse it
    broken = write_gguf(tmp_path / "broken", {"general.architecture": "nothing"})
    loader = Loader()
    ends = [loader.load(path)["end"] for path in (sound, deadly, broken, sound)]
    loader.close()
    assert ends == ["loaded", "SIGABRT", "refused", "loaded"]


def test_models_whose_files_lie_end_no_process(tmp_path: Path) -> None:
    draw = random.Random(5)
    path = tmp_path / "f"
    loader = Loader()
    for _ in range(CASES):
        role = write_liar(draw, path)
        try:
            check(path, role, loader.base)
        except InvalidGguf:
            continue
        assert loader.load(path, role)["end"] in ("loaded", "refused")
    loader.close()
