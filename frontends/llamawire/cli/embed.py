"""What `run` does with a model that embeds texts and writes none."""

from __future__ import annotations

import json

from llamawire.cli.client import Client
from llamawire.cli.errors import CliError
from llamawire.cli.terminal import Terminal
from llamawire.v1.embedding_service_pb2 import EmbedInput, EmbedRequest

__all__ = ["print_embedding"]


def print_embedding(
    client: Client,
    terminal: Terminal,
    model: str,
    text: str,
    truncate: str | None,
    dimensions: int,
) -> None:
    """Prints the text's vector as a JSON array."""
    if not text:
        raise CliError(
            f'embedding models require input text. Usage: llamawire run {model} "your text here"'
        )
    request = EmbedRequest(model=model, inputs=[EmbedInput(text=text)], dimensions=dimensions)
    if truncate is not None:
        request.truncate = truncate.lower() in ("true", "t", "1")
    embeddings = client.embedding.Embed(request).embeddings
    if not embeddings:
        raise CliError("the server sent no embedding")
    terminal.print(json.dumps(list(embeddings[0].values), separators=(",", ":")))
