"""A server that knows its callers, in this process, and calls in their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import grpc
from google.protobuf.message import Message

from nearhash.v1 import banks_pb2, lookup_pb2
from nearhash_index.store import DataDirectory
from nearhash_service.access.followed_callers import FollowedCallers
from nearhash_service.config import ConfigSources, Given
from nearhash_service.server import Server

from .running import CALL_S, Stubs, connected
from .sample import NARROW

CALLERS = {
    "reader": {"roles": ["lookup"]},
    "narrow": {"roles": ["lookup"], "banks": [NARROW, "not-there"]},
    "trusted": {"roles": ["lookup"], "read_hashes": True},
    "observer": {"roles": ["observe"]},
    "operator": {"roles": ["admin"]},
    "everything": {"roles": ["lookup", "admin"]},
    "suspended": {"roles": []},
}
METHODS = {
    f"/{service.full_name}/{method.name}": method
    for file in (lookup_pb2.DESCRIPTOR, banks_pb2.DESCRIPTOR)
    for service in file.services_by_name.values()
    for method in service.methods
}
"""Every RPC that there is, by its full name."""


def token_of(caller: str) -> str:
    return f"token-of-{caller}"


def toml(callers: dict[str, dict[str, object]]) -> str:
    """Return callers as tables, each identified by its token."""
    tables = []
    for name, keys in callers.items():
        own = {"token_sha256": [sha256(token_of(name).encode()).hexdigest()], **keys}
        lines = [f"{key} = {str(value).lower() if isinstance(value, bool) else value}" for key, value in own.items()]
        tables.append("\n".join(["[[callers]]", f"name = '{name}'", *lines]))
    return "\n\n".join(tables) + "\n"


@contextmanager
def guarding(folder: Path, data: Path) -> Iterator[tuple[Server, str, Path]]:
    """Serve to CALLERS; yield the server, its address and the configuration file."""
    file = folder / "nearhash.toml"
    file.write_text(toml(CALLERS))
    sources = ConfigSources(file, {}, {"server.data": Given(str(data), "--data")})
    address = f"unix:{folder}/guarded"
    callers = FollowedCallers(sources.load().config.callers, sources)
    with Server(DataDirectory(data), address, callers=callers, reload_interval_s=0.02) as server:
        yield server, address, file


class AsCaller(grpc.UnaryUnaryClientInterceptor):
    """Sends a caller's token, or what is said instead."""

    def __init__(self, authorization: str | None) -> None:
        self._metadata = () if authorization is None else (("authorization", authorization),)

    def intercept_unary_unary(self, continuation: Callable, details: grpc.ClientCallDetails, request: object) -> object:
        return continuation(details._replace(metadata=self._metadata), request)


@contextmanager
def calling(address: str, caller: str) -> Iterator[Stubs]:
    """Connect as a caller."""
    with connected(address) as stubs:
        yield Stubs(grpc.intercept_channel(stubs.channel, AsCaller(f"Bearer {token_of(caller)}")))


def call_raw(stubs: Stubs, method: str, message: bytes | Message, authorization: str | None) -> tuple[str, str]:
    """Call any RPC with any bytes; return the status and its details."""
    body = message if isinstance(message, bytes) else message.SerializeToString()
    metadata = () if authorization is None else (("authorization", authorization),)
    try:
        stubs.channel.unary_unary(method)(body, metadata=metadata, timeout=CALL_S)
    except grpc.RpcError as error:
        return error.code().name, error.details()
    return "OK", ""
