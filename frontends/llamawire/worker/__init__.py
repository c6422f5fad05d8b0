"""The process that hosts one model; only the daemon starts it."""

__all__: list[str] = []
