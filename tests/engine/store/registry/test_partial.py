"""Downloads on the disk: Ollama's format, ours and theirs."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from engine.store.registry.conftest import LIMITS, lines_of, noise
from engine.store.registry.fake_registry import FakeRegistry, digest_of
from llamawire.engine.store import Library
from llamawire.engine.store.registry import Registry, TransferLimits
from llamawire.engine.store.registry.partial import Partial, PartialInUse, bytes_present

TEXT = "application/vnd.ollama.image.license"
PART = LIMITS.part_bytes_min
BIG = noise(5 * PART)
BLOB = f"sha256-{digest_of(BIG)[7:]}"


@pytest.fixture
def blobs(library: Library) -> Path:
    folder = library.root / "blobs"
    folder.mkdir(parents=True)
    return folder


def leave(blobs: Path, data: bytes, *states: str) -> None:
    """What an Ollama that died would have left."""
    (blobs / f"{BLOB}-partial").write_bytes(data)
    for number, state in enumerate(states):
        (blobs / f"{BLOB}-partial-{number}").write_text(state + "\n")


def opened(folder: Path, total: int) -> Partial:
    partial = Partial(folder / BLOB, total, LIMITS)
    partial.open()
    return partial


def state(number: int, offset: int, size: int, completed: int) -> str:
    return f'{{"N":{number},"Offset":{offset},"Size":{size},"Completed":{completed}}}'


async def pulled_bytes(fake: FakeRegistry, registry: Registry) -> int:
    """Pulls the large file; how much of it was fetched."""
    fake.add_model("library/m:latest", (TEXT, BIG))
    lines = await lines_of(registry.pull(f"http://{fake.host}/library/m"))
    assert lines[-1].status == "success"
    return fake.served_bytes - len(b"{}")


async def test_a_download_of_ollama_goes_on(
    fake: FakeRegistry, registry: Registry, blobs: Path
) -> None:
    # Ollama's parts are of another size, and it has fetched parts of each.
    data = bytearray(len(BIG))
    data[:1000] = BIG[:1000]
    data[2 * PART : 4 * PART] = BIG[2 * PART : 4 * PART]
    second = state(1, 2 * PART, 3 * PART, 2 * PART)
    leave(blobs, bytes(data), state(0, 0, 2 * PART, 1000), second)
    assert bytes_present(blobs / BLOB) == 1000 + 2 * PART
    assert await pulled_bytes(fake, registry) == len(BIG) - 1000 - 2 * PART
    assert [name for name in os.listdir(blobs) if "partial" in name] == []


@pytest.mark.parametrize(
    "states",
    [
        ["{"],
        [""],
        ["[]"],
        [state(0, 0, len(BIG), len(BIG) + 1)],
        [state(0, 0, 100, 50)],
        [state(0, 100, len(BIG) - 100, 50)],
        [state(0, 0, len(BIG), -1)],
        [state(0, 0, 2 * PART, PART), state(1, PART, 4 * PART, 0)],
        ['{"N":0,"Offset":0,"Size":"x","Completed":true}'],
    ],
)
async def test_what_makes_no_sense_is_begun_anew(
    fake: FakeRegistry, registry: Registry, blobs: Path, states: list[str]
) -> None:
    leave(blobs, bytes(len(BIG)), *states)
    assert await pulled_bytes(fake, registry) == len(BIG)


async def test_states_without_bytes_count_for_nothing(
    fake: FakeRegistry, registry: Registry, blobs: Path
) -> None:
    leave(blobs, b"", state(0, 0, len(BIG), len(BIG)))
    (blobs / f"{BLOB}-partial").unlink()
    assert bytes_present(blobs / BLOB) == 0
    assert await pulled_bytes(fake, registry) == len(BIG)


async def test_a_torn_file_is_fetched_once_more(
    fake: FakeRegistry, registry: Registry, blobs: Path
) -> None:
    # After a power cut the state may be there, and the bytes not.
    leave(blobs, bytes(len(BIG)), state(0, 0, len(BIG), 3 * PART))
    assert await pulled_bytes(fake, registry) == len(BIG) - 3 * PART + len(BIG)
    assert (blobs / BLOB).read_bytes() == BIG


def test_the_state_on_the_disk_is_ollamas(tmp_path: Path) -> None:
    partial = opened(tmp_path, len(BIG))
    assert (tmp_path / f"{BLOB}-partial").stat().st_size == len(BIG)
    partial.write(partial.parts[1], [BIG[PART : PART + 10], BIG[PART + 10 : PART + 15]])
    text = (tmp_path / f"{BLOB}-partial-1").read_text()
    assert json.loads(text) == {"N": 1, "Offset": PART, "Size": PART, "Completed": 15}
    assert list(json.loads(text)) == ["N", "Offset", "Size", "Completed"]
    assert text.endswith("\n")
    partial.close()


def test_a_download_is_open_once(tmp_path: Path) -> None:
    first = opened(tmp_path, 10)
    with pytest.raises(PartialInUse):
        opened(tmp_path, 10)
    first.close()
    opened(tmp_path, 10).close()


def test_many_small_pieces_are_written_whole(tmp_path: Path) -> None:
    partial = opened(tmp_path, len(BIG))
    for part in partial.parts:
        pieces = [BIG[at : at + 13] for at in range(part.offset, part.end, 13)]
        pieces[-1] = pieces[-1][: part.size - sum(map(len, pieces[:-1]))]
        partial.write(part, pieces)
    assert partial.is_complete
    partial.finish()
    partial.close()
    assert (tmp_path / BLOB).read_bytes() == BIG


def test_no_file_has_thousands_of_parts() -> None:
    limits = TransferLimits()
    for total in (1, 10**8, 4 * 10**9, 70 * 10**9):
        assert -(-total // limits.part_bytes(total)) <= limits.parts_wanted + 2


def test_old_parts_stay_as_long_as_the_download_is_young(library: Library, blobs: Path) -> None:
    leave(blobs, bytes(10), state(0, 0, 5, 5), state(1, 5, 5, 0))
    now = time.time()
    for path in blobs.iterdir():
        os.utime(path, (now - 7200, now - 7200))
    os.utime(blobs / f"{BLOB}-partial-1", (now - 60, now - 60))
    library.prune(clock=lambda: now)
    assert len(list(blobs.iterdir())) == 3
    library.prune(clock=lambda: now + 3600)
    assert list(blobs.iterdir()) == []
