"""From errors to gRPC statuses: the one place where that is decided."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from nearhash_index import errors
from nearhash_service.errors import Abandoned, Forbidden, Overloaded, TooLate, Unauthenticated
from nearhash_service.interceptors import Handler, UnaryInterceptor

__all__ = ["ErrorInterceptor", "refusal"]

_CODES: dict[type[errors.NearHashIndexError], int] = {
    errors.InvalidInput: code_pb2.INVALID_ARGUMENT,
    errors.UnknownName: code_pb2.NOT_FOUND,
    errors.AlreadyExists: code_pb2.ALREADY_EXISTS,
    errors.BankDisabled: code_pb2.FAILED_PRECONDITION,
    errors.SequenceNotReached: code_pb2.FAILED_PRECONDITION,
    errors.Pinned: code_pb2.FAILED_PRECONDITION,
    errors.NotPublished: code_pb2.UNAVAILABLE,
    errors.StoreBusy: code_pb2.ABORTED,
    errors.StorageFailed: code_pb2.INTERNAL,
    errors.StorageReadOnly: code_pb2.FAILED_PRECONDITION,
    Unauthenticated: code_pb2.UNAUTHENTICATED,
    Forbidden: code_pb2.PERMISSION_DENIED,
    TooLate: code_pb2.DEADLINE_EXCEEDED,
    Abandoned: code_pb2.CANCELLED,
    errors.RegistryLost: code_pb2.UNAVAILABLE,
    errors.NotADataDirectory: code_pb2.DATA_LOSS,
    errors.WrongVersion: code_pb2.DATA_LOSS,
    errors.CorruptData: code_pb2.DATA_LOSS,
}
_SERVERS_FAULT = {code_pb2.INTERNAL, code_pb2.DATA_LOSS}
_MAX_MESSAGE_BYTES = 1000
"""gRPC sends a message up to three times, partly in three bytes for one, and clients accept 8 KB of it in all."""

_log = logging.getLogger(__name__)


class ErrorInterceptor(UnaryInterceptor):
    """Answers a handler's error with its status and details. Anything unforeseen is logged and answered INTERNAL."""

    def wrap(self, method: str, handler: Handler) -> Handler:
        """Return a handler that raises nothing of its own."""
        del method
        return grpc.unary_unary_rpc_method_handler(
            _answering_errors(handler.unary_unary),  # type: ignore[arg-type]
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


def _answering_errors(method: Callable[[Any, grpc.ServicerContext], Any]) -> Callable[..., Any]:
    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(request, context)
        except Overloaded as error:
            return context.abort_with_status(refusal(code_pb2.RESOURCE_EXHAUSTED, str(error), error.retry_after_s))
        except errors.NearHashIndexError as error:
            status = _status_of(error)
            level = logging.ERROR if status.code in _SERVERS_FAULT else logging.DEBUG
            _log.log(level, "A call was answered %s: %s", code_pb2.Code.Name(status.code), status.message)
        except Exception:  # noqa: BLE001 - logged; the caller learns no more than that it was not their fault
            _log.exception("A call failed for a reason that nobody foresaw")
            status = status_pb2.Status(code=code_pb2.INTERNAL, message="internal error; the server's log tells more")
        return context.abort_with_status(rpc_status.to_status(status))

    return answer


@lru_cache
def refusal(code: int, message: str, retry_after_s: float | None = None) -> grpc.Status:
    """Return a status of google.rpc's code, which tells when to try again.

    Made once for many: where much is refused, there is no time for more.
    """
    status = status_pb2.Status(code=code, message=message)
    if retry_after_s is not None:
        status.details.append(_retry_info(retry_after_s))
    converted: grpc.Status = rpc_status.to_status(status)
    return converted


def _retry_info(after_s: float) -> any_pb2.Any:
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromMilliseconds(math.ceil(after_s * 1000))
    detail = any_pb2.Any()
    detail.Pack(retry)
    return detail


def _status_of(error: errors.NearHashIndexError) -> status_pb2.Status:
    status = status_pb2.Status(code=_CODES[type(error)], message=_cut(str(error)))
    if isinstance(error, errors.InvalidInput):
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.field, description=_cut(error.problem))
        detail = any_pb2.Any()
        detail.Pack(error_details_pb2.BadRequest(field_violations=[violation]))
        status.details.append(detail)
    return status


def _cut(text: str) -> str:
    return text.encode(errors="replace")[:_MAX_MESSAGE_BYTES].decode(errors="ignore")
