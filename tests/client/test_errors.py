import pickle

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from nearhash.v1 import lookup_pb2
from nearhash_client import (
    AlreadyExists,
    Client,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    InvalidRequest,
    NearHashError,
    NotFound,
    Overloaded,
    PermissionDenied,
    ServerError,
    Unauthenticated,
    Unavailable,
)

BAD_REQUEST = error_details_pb2.BadRequest(
    field_violations=[
        {"field": "radius", "description": "found 70; it is at most 64"},
        {"field": "banks[1]", "description": "found 'a b'; a name has no spaces"},
    ]
)


def abort_with(status: grpc.StatusCode, message: str, *details):
    packed = []
    for detail in details:
        packed.append(Any())
        packed[-1].Pack(detail)
    rich = status_pb2.Status(code=status.value[0], message=message, details=packed)

    def answer(_request, context):
        context.abort_with_status(rpc_status.to_status(rich))

    return answer


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidRequest),
        (grpc.StatusCode.NOT_FOUND, NotFound),
        (grpc.StatusCode.ALREADY_EXISTS, AlreadyExists),
        (grpc.StatusCode.FAILED_PRECONDITION, FailedPrecondition),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Overloaded),
        (grpc.StatusCode.PERMISSION_DENIED, PermissionDenied),
        (grpc.StatusCode.UNAUTHENTICATED, Unauthenticated),
    ],
)
def test_each_status_has_its_class(serve, lookup, status, kind):
    def answer(_request, context):
        context.abort(status, "said so")

    with pytest.raises(NearHashError, match=r"^said so$") as caught:
        lookup(serve(answer).target, [1])
    assert type(caught.value) is kind
    assert isinstance(caught.value.__cause__, grpc.RpcError)


def test_another_status_is_named_in_a_server_error(serve, lookup):
    def answer(_request, context):
        context.abort(grpc.StatusCode.INTERNAL, "broke")

    with pytest.raises(ServerError, match=r"^INTERNAL: broke$"):
        lookup(serve(answer).target, [1])


def test_nobody_there_is_unavailable():
    with Client("127.0.0.1:1") as client, pytest.raises(Unavailable):
        client.lookup([1], timeout_s=20)


def test_violations_are_read_and_said(serve, lookup):
    peer = serve(abort_with(grpc.StatusCode.INVALID_ARGUMENT, "2 fields are wrong", BAD_REQUEST))
    with pytest.raises(InvalidRequest) as caught:
        lookup(peer.target, [1])
    assert caught.value.violations == (
        FieldViolation("radius", "found 70; it is at most 64"),
        FieldViolation("banks[1]", "found 'a b'; a name has no spaces"),
    )
    assert str(caught.value) == (
        "2 fields are wrong; radius: found 70; it is at most 64; banks[1]: found 'a b'; a name has no spaces"
    )


def test_a_violation_in_the_message_is_not_said_twice(serve, lookup):
    message = "radius: found 70; it is at most 64"
    peer = serve(abort_with(grpc.StatusCode.INVALID_ARGUMENT, message, BAD_REQUEST))
    with pytest.raises(InvalidRequest) as caught:
        lookup(peer.target, [1])
    assert str(caught.value) == f"{message}; banks[1]: found 'a b'; a name has no spaces"


def test_the_pause_that_the_server_asks_for_is_read(serve, lookup):
    retry_info = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000))
    peer = serve(abort_with(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many", BAD_REQUEST, retry_info))
    with pytest.raises(Overloaded) as caught:
        lookup(peer.target, [1])
    assert caught.value.retry_after_s == 1.5


def test_no_pause_asked_for_is_none(serve, lookup):
    peer = serve(abort_with(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many"))
    with pytest.raises(Overloaded) as caught:
        lookup(peer.target, [1])
    assert caught.value.retry_after_s is None


@pytest.mark.parametrize("details", [b"\xff\xff", status_pb2.Status(code=3, message="other").SerializeToString()])
def test_details_that_do_not_fit_are_left_out(serve, lookup, details):
    def answer(_request, context):
        context.set_trailing_metadata((("grpc-status-details-bin", details),))
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "rewritten by a proxy")
        return lookup_pb2.LookupResponse()

    with pytest.raises(InvalidRequest, match=r"^rewritten by a proxy$") as caught:
        lookup(serve(answer).target, [1])
    assert caught.value.violations == ()


def test_errors_survive_a_process_boundary():
    error = InvalidRequest("radius: wrong", (FieldViolation("radius", "wrong"),))
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(copy), str(copy), copy.violations) == (InvalidRequest, "radius: wrong", error.violations)
    assert isinstance(copy, ValueError)
