"""What a refused call says."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status


def refusal(call: Callable[..., object], *arguments: object, **named: object) -> grpc.RpcError:
    """Return the error that the call must raise."""
    with pytest.raises(grpc.RpcError) as raised:
        call(*arguments, **named)
    return raised.value


def violated_fields(error: grpc.RpcError) -> list[str]:
    """Return the fields that the google.rpc.BadRequest names."""
    status = rpc_status.from_call(error)
    if status is None:
        return []
    bad_request = error_details_pb2.BadRequest()
    assert all(detail.Unpack(bad_request) for detail in status.details)
    return [violation.field for violation in bad_request.field_violations]
