"""What the client raises, and the one table from gRPC statuses to it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status


class NearHashError(Exception):
    """Base of every error that this package defines."""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of a request that is wrong.

    Attributes
    ----------
    field
        The field's path, with the position in a list where there is one: ``hashes[3]``.
    description
        What was found and what would be right.
    """

    field: str
    description: str


class InvalidRequest(NearHashError, ValueError):
    """The request is wrong, found here before sending or by the server (INVALID_ARGUMENT); a retry will not help.

    Attributes
    ----------
    violations : tuple of FieldViolation
        The fields to correct; empty if the server named none.
    """

    def __init__(self, message: str, violations: tuple[FieldViolation, ...] = ()) -> None:
        super().__init__(message)
        self.violations = violations


class NotFound(NearHashError):
    """Something that the request names does not exist, for example a bank (NOT_FOUND)."""


class AlreadyExists(NearHashError):
    """What the request would create exists (ALREADY_EXISTS)."""


class FailedPrecondition(NearHashError):
    """The server's state does not allow it: a disabled bank, a sequence not reached yet (FAILED_PRECONDITION)."""


class Unavailable(NearHashError):
    """Nobody answers, or nothing is published yet, also after the retries (UNAVAILABLE); try again later."""


class DeadlineExceeded(NearHashError):
    """The answer did not come within `timeout_s` (DEADLINE_EXCEEDED)."""


class Overloaded(NearHashError):
    """The server sheds load, or a caller's quota is spent (RESOURCE_EXHAUSTED).

    Attributes
    ----------
    retry_after_s : float or None
        How long the server asks to wait, in seconds; None if it did not say.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PermissionDenied(NearHashError):
    """The caller is known but may not do this (PERMISSION_DENIED)."""


class Unauthenticated(NearHashError):
    """The caller's credentials are missing or not accepted (UNAUTHENTICATED)."""


class ServerError(NearHashError):
    """Any other failure; the message begins with the name of the gRPC status."""


_STATUS_ERRORS: dict[grpc.StatusCode, type[NearHashError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
}


def error_from_rpc(error: grpc.RpcError) -> NearHashError:
    """Return the typed error of a failed call.

    Parameters
    ----------
    error
        What a stub raised, synchronous or asyncio.

    Returns
    -------
    NearHashError
        To be raised from `error`. A status that is not in the table gives `ServerError`.
    """
    call = cast("grpc.Call", error)
    status = call.code()
    message = call.details() or status.name
    kind = _STATUS_ERRORS.get(status)
    if kind is None:
        return ServerError(f"{status.name}: {message}")
    if kind is InvalidRequest:
        violations = tuple(_violations(call))
        unsaid = [f"{v.field}: {v.description}" for v in violations if v.description not in message]
        return InvalidRequest("; ".join([message, *unsaid]), violations)
    if kind is Overloaded:
        return Overloaded(message, _retry_after_s(call))
    return kind(message)


def invalid(field: str, description: str) -> InvalidRequest:
    """Return the error for an argument found wrong before anything was sent."""
    return InvalidRequest(f"{field}: {description}", (FieldViolation(field, description),))


def _violations(call: grpc.Call) -> Iterator[FieldViolation]:
    bad_request = error_details_pb2.BadRequest()
    for detail in _status(call).details:
        if detail.Unpack(bad_request):
            for violation in bad_request.field_violations:
                yield FieldViolation(violation.field, violation.description)


def _retry_after_s(call: grpc.Call) -> float | None:
    retry_info = error_details_pb2.RetryInfo()
    for detail in _status(call).details:
        if detail.Unpack(retry_info):
            return float(retry_info.retry_delay.ToTimedelta().total_seconds())
    return None


def _status(call: grpc.Call) -> status_pb2.Status:
    try:
        return rpc_status.from_call(call) or status_pb2.Status()
    except (ValueError, DecodeError):
        # A proxy rewrote the message: the details no longer belong to it.
        return status_pb2.Status()
