"""`python -m llamawire.engine`: the daemon, with settings from the environment."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

__all__ = ["main"]


def main() -> int:
    """Serves until a signal; 1 with a sentence if it cannot."""
    logging.basicConfig(
        level=logging.DEBUG if os.environ.get("LLAMAWIRE_DEBUG") else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # Forks are always followed by exec; gRPC's handlers for other forks would only slow them.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    from llamawire.engine.errors import StartError
    from llamawire.engine.server import run
    from llamawire.engine.settings import Settings
    from llamawire.rest import ListenError

    try:
        import uvloop
    except ImportError:
        start = asyncio.run
    else:
        start = uvloop.run
    try:
        start(run(Settings.from_environment()))
    except (ListenError, StartError, OSError, RuntimeError) as error:
        print(f"llamawire: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
