"""list, ps, cp, rm, stop: columns and texts."""

from __future__ import annotations

import time

import grpc
import pytest

from cli.conftest import Cli
from cli.fake_server import NOT_FOUND, FakeServer, model, stamp, status
from llamawire.cli.human import count_text, relative_text, size_text
from llamawire.v1 import model_pb2
from llamawire.v1 import model_service_pb2 as pb

HOUR = 3600


def test_list_pads_its_columns_as_ollama_does(cli: Cli, server: FakeServer) -> None:
    now = time.time()
    server.models = [
        model("tiny:latest", size_bytes=4_700_000_000, modified_at=stamp(now - 3 * HOUR)),
        model("bert:small", size_bytes=999, modified_at=stamp(now - 40 * 24 * HOUR)),
    ]
    for command in ("list", "ls"):
        assert cli(command).out == (
            "NAME           ID              SIZE      MODIFIED    \n"
            "tiny:latest    abababababab    4.7 GB    3 hours ago    \n"
            "bert:small     abababababab    999 B     5 weeks ago    \n"
        )


def test_list_filters_by_prefix_in_any_case(cli: Cli, server: FakeServer) -> None:
    server.models = [model("Foo:a"), model("bar:a")]
    lines = cli("list", "fOO").out.splitlines()
    assert [line.split()[0] for line in lines] == ["NAME", "Foo:a"]
    assert lines[1].split()[2:] == ["-", "Never"]


@pytest.mark.parametrize(
    ("vram", "left_s", "processor", "until"),
    [
        (0, 290, "100% CPU", "4 minutes from now"),
        (1000, -5, "100% GPU", "Stopping..."),
        (2000, None, "Unknown", "Forever"),
        (250, 30 * 365 * 24 * HOUR, "75%/25% CPU/GPU", "Forever"),
    ],
)
def test_ps_tells_where_a_model_is_and_for_how_long(
    cli: Cli, server: FakeServer, vram: int, left_s: float | None, processor: str, until: str
) -> None:
    loaded = model_pb2.LoadedModel(
        name="tiny:latest", digest="cd" * 32, size_bytes=1000, size_vram_bytes=vram, num_ctx=4096
    )
    if left_s is not None:
        loaded.expires_at.CopyFrom(stamp(time.time() + left_s))
    server.loaded = [loaded]
    header, row = cli("ps").out.splitlines()
    assert header.split() == ["NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL"]
    assert row == f"tiny:latest    cdcdcdcdcdcd    1 KB    {processor:<9}    4096       {until}    "
    assert cli("ps", "Tiny").out.count("\n") == 1


def test_cp_rm_and_stop_say_little(cli: Cli, server: FakeServer) -> None:
    assert cli("cp", "tiny", "mine").out == "copied 'tiny' to 'mine'\n"
    assert server.requests[-1] == pb.CopyModelRequest(source="tiny", destination="mine")
    assert cli("rm", "a", "b").out == "deleted 'a'\ndeleted 'b'\n"
    assert server.names()[-4:] == ["Unload", "DeleteModel"] * 2
    assert cli("stop", "tiny").out == ""
    assert server.names()[-1] == "Unload"


def test_rm_stops_at_the_first_error(cli: Cli, server: FakeServer) -> None:
    server.failures = {"Unload": NOT_FOUND, "DeleteModel": NOT_FOUND}
    result = cli("rm", "nope", "tiny")
    assert (result.code, result.err) == (1, "Error: model 'nope:latest' not found\n")
    assert server.names().count("DeleteModel") == 1


def test_rm_goes_on_where_a_model_cannot_be_stopped(cli: Cli, server: FakeServer) -> None:
    server.failures["Unload"] = status(grpc.StatusCode.INTERNAL, "INTERNAL", "no")
    result = cli("rm", "tiny")
    assert result.err == "Warning: unable to stop model 'tiny'\n"
    assert result.out == "deleted 'tiny'\n"


def test_stop_does_not_find_what_is_not_there(cli: Cli, server: FakeServer) -> None:
    result = cli("stop", "nope")
    assert result.err.removeprefix("Error: couldn't find model ") == '"nope" to stop\n'
    assert server.names() == ["GetModel"]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1 KB"), (1500, "1.5 KB"), (999_999, "999 KB"),
        (4_661_224_676, "4.6 GB"), (41_900_000_000, "41 GB"), (10**12, "1 TB"),
    ],
)  # fmt: skip
def test_sizes_are_decimal_and_truncated(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "Less than a second from now"), (-1, "1 second ago"), (-59, "59 seconds ago"),
        (-60, "About a minute ago"), (-3599, "59 minutes ago"), (-3600, "About an hour ago"),
        (-47 * HOUR, "47 hours ago"), (-48 * HOUR, "2 days ago"), (-13 * 24 * HOUR, "13 days ago"),
        (-14 * 24 * HOUR, "2 weeks ago"), (-60 * 24 * HOUR, "2 months ago"),
        (-730 * 24 * HOUR, "2 years ago"),
    ],
)  # fmt: skip
def test_times_are_rough(seconds: float, text: str) -> None:
    assert relative_text(seconds) == text


def test_counts_of_parameters_are_short() -> None:
    counts = (0, 1500, 125_000_000, 500_500_000, 2_850_000_000, 8_000_000_000)
    assert [count_text(count) for count in counts] == [
        "0", "2K", "125M", "500.50M", "2.9B", "8B",
    ]  # fmt: skip
