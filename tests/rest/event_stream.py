"""Streams whose events have names."""

from __future__ import annotations

import json
from typing import Any

from rest.conftest import Reply


def named_events(reply: Reply) -> list[Any]:
    """The data of each event, which says its own name."""
    assert reply.type == "text/event-stream"
    headers = reply.headers["Cache-Control"], reply.headers["Connection"]
    assert headers == ("no-cache", "keep-alive")
    assert reply.body.endswith(b"\n\n")
    found = []
    for event in reply.body.decode().removesuffix("\n\n").split("\n\n"):
        name, data = event.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found
