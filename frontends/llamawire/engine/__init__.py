"""The daemon: the store, prompts, the scheduler of workers, and the gRPC services over them."""

__all__: list[str] = []
