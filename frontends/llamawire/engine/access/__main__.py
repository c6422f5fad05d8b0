"""`llamawire keys`: makes, lists and revokes API keys in the key file.

A running server sees a change with its next request.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from llamawire.engine.access.key import GENERATE, SCOPES, Key, new_key
from llamawire.engine.access.key_file import KeyFile
from llamawire.engine.errors import StartError

__all__ = ["main"]

VARIABLE = "LLAMAWIRE_API_KEY_FILE"


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 1 with a sentence."""
    arguments = parser().parse_args(argv)
    if not arguments.file:
        return failed(f"name the key file with --file, or {VARIABLE}")
    run: Callable[[argparse.Namespace, KeyFile], int] = arguments.run
    try:
        return run(arguments, KeyFile(Path(arguments.file).expanduser()))
    except (StartError, ValueError, OSError) as error:
        return failed(str(error))


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="llamawire keys", description=__doc__)
    place = argparse.ArgumentParser(add_help=False)
    place.add_argument(
        "--file",
        default=os.environ.get(VARIABLE, ""),
        help=f"the key file ({VARIABLE})",
    )
    commands = whole.add_subparsers(required=True, metavar="create|list|revoke")
    making = commands.add_parser("create", parents=[place], help="make a key and print it, once")
    making.add_argument("name", help="whose it is, or what for")
    making.add_argument(
        "--scope", action="append", choices=SCOPES, help=f"may be repeated (default {GENERATE})"
    )
    making.add_argument(
        "--model", action="append", default=[], help="a model it may use, `*` for any text"
    )
    making.add_argument("--requests-per-minute", type=int, default=0, metavar="N")
    making.add_argument("--tokens-per-day", type=int, default=0, metavar="N")
    making.set_defaults(run=create)
    listing = commands.add_parser("list", parents=[place], help="list the keys")
    listing.set_defaults(run=list_keys)
    revoking = commands.add_parser("revoke", parents=[place], help="make a key invalid")
    revoking.add_argument("key", metavar="ID|NAME")
    revoking.set_defaults(run=revoke)
    return whole


def create(arguments: argparse.Namespace, file: KeyFile) -> int:
    text, key = new_key(
        arguments.name,
        arguments.scope or [GENERATE],
        models=arguments.model,
        requests_per_minute=arguments.requests_per_minute,
        tokens_per_day=arguments.tokens_per_day,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )
    file.add(key)
    print(text)
    print("Keep it: only its hash is in the file.", file=sys.stderr)
    return 0


def list_keys(arguments: argparse.Namespace, file: KeyFile) -> int:
    for row in [("ID", "NAME", "SCOPES", "MODELS", "LIMITS", "CREATED"), *map(cells, file.read())]:
        print(
            "  ".join(text.ljust(width) for text, width in zip(row, WIDTHS, strict=True)).rstrip()
        )
    return 0


WIDTHS = (8, 16, 15, 20, 24, 20)


def cells(key: Key) -> tuple[str, ...]:
    limits = []
    if key.requests_per_minute:
        limits.append(f"{key.requests_per_minute}/min")
    if key.tokens_per_day:
        limits.append(f"{key.tokens_per_day} tokens/day")
    models = ",".join(key.models) or "all"
    return (key.id, key.name, ",".join(key.scopes), models, " ".join(limits) or "-", key.created)


def revoke(arguments: argparse.Namespace, file: KeyFile) -> int:
    try:
        key = file.revoke(arguments.key)
    except KeyError:
        return failed(f"{file.path} has no key with the ID or name {arguments.key!r}")
    print(f"revoked {key.id} ({key.name})", file=sys.stderr)
    return 0


def failed(sentence: str) -> int:
    print(f"llamawire keys: {sentence}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
