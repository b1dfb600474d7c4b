import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from nearhash.v1 import lookup_pb2, lookup_pb2_grpc
from nearhash_index import errors
from nearhash_service.status import ErrorInterceptor

from .running import Stubs, connected
from .violations import refusal, violated_fields

CODES = {
    errors.InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    errors.UnknownName: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.BankDisabled: grpc.StatusCode.FAILED_PRECONDITION,
    errors.SequenceNotReached: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Pinned: grpc.StatusCode.FAILED_PRECONDITION,
    errors.NotPublished: grpc.StatusCode.UNAVAILABLE,
    errors.StoreBusy: grpc.StatusCode.ABORTED,
    errors.StorageFailed: grpc.StatusCode.INTERNAL,
    errors.StorageReadOnly: grpc.StatusCode.FAILED_PRECONDITION,
    errors.RegistryLost: grpc.StatusCode.UNAVAILABLE,
    errors.NotADataDirectory: grpc.StatusCode.DATA_LOSS,
    errors.WrongVersion: grpc.StatusCode.DATA_LOSS,
    errors.CorruptData: grpc.StatusCode.DATA_LOSS,
}
KINDS = [getattr(errors, name) for name in errors.__all__ if name != "NearHashIndexError"]


class Raising(lookup_pb2_grpc.LookupServiceServicer):
    """Raises what the test says."""

    error: Exception | None = None

    def Lookup(self, request, context):  # noqa: ARG002, N802
        if self.error:
            raise self.error
        return lookup_pb2.LookupResponse(generation=7)


@pytest.fixture(scope="module")
def raising() -> Iterator[tuple[Raising, Stubs]]:
    servicer = Raising()
    server = grpc.server(ThreadPoolExecutor(2), interceptors=[ErrorInterceptor()])
    lookup_pb2_grpc.add_LookupServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with connected(f"127.0.0.1:{port}") as stubs:
        yield servicer, stubs
    server.stop(0).wait()


def test_an_unforeseen_error_is_logged_and_the_caller_learns_no_more_than_that(raising, caplog):
    servicer, stubs = raising
    servicer.error = RuntimeError("secret 4711")
    with caplog.at_level(logging.ERROR):
        error = refusal(stubs.lookup)
    assert error.code() == grpc.StatusCode.INTERNAL
    assert error.details() == "internal error; the server's log tells more"
    assert "secret" not in str(error)
    assert "Traceback" not in str(error.trailing_metadata())
    assert "secret 4711" in caplog.text
    assert "Traceback" in caplog.text
    servicer.error = None
    assert stubs.lookup().generation == 7


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_error_of_the_engine_has_its_status(raising, caplog, kind):
    servicer, stubs = raising
    arguments = ("some_field", "what is wrong") if kind is errors.InvalidInput else ("what is wrong",)
    servicer.error = kind(*arguments)
    error = refusal(stubs.lookup)
    assert (error.code(), error.details()) == (CODES[kind], ": ".join(arguments))
    assert violated_fields(error) == (["some_field"] if kind is errors.InvalidInput else [])
    # What is not the caller's fault is for the operator to know.
    ours = CODES[kind] in {grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS}
    assert [record.getMessage() for record in caplog.records] == (
        [f"A call was answered {CODES[kind].name}: what is wrong"] if ours else []
    )


@pytest.mark.parametrize("character", ["x", "é", "\N{GRINNING FACE}", "\n"])
@pytest.mark.parametrize("kind", [errors.InvalidInput, errors.UnknownName])
def test_a_long_message_arrives_cut(raising, kind, character):
    servicer, stubs = raising
    long = character * 100_000
    servicer.error = errors.InvalidInput("field", long) if kind is errors.InvalidInput else kind(long)
    error = refusal(stubs.lookup)
    assert error.code() == CODES[kind]
    assert 200 <= len(error.details()) <= 1000
    assert "�" not in error.details()
