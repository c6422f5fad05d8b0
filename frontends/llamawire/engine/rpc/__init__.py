"""The gRPC services: the only part of the engine that knows grpc's server and llamawire.v1."""

__all__: list[str] = []
