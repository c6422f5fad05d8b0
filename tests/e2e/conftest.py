"""One daemon for the tests that leave it as they found it; those that do not start their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.daemon import Daemon


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    shared = Daemon(tmp_path_factory.mktemp("daemon"))
    shared.add_endless_model()
    shared.add_newline_model()
    yield shared
    assert shared.stop() == 0, shared.log.read_text()


@pytest.fixture
def start_daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Starts daemons with settings of their own and ends them after the test."""
    started: list[Daemon] = []

    def start(**environment: str) -> Daemon:
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Daemon(folder, **environment))
        return started[-1]

    yield start
    for daemon in started:
        daemon.stop()
