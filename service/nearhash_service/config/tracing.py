"""The section [tracing]."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

from msgspec import Meta

from nearhash_index.errors import InvalidInput
from nearhash_service.config.section import Section

__all__ = ["TracingSection"]


class TracingSection(Section, frozen=True):
    """Spans of calls for OpenTelemetry, without hashes; needs nearhash[tracing]."""

    endpoint: Annotated[
        str | None,
        Meta(description="Of a collector that takes OTLP over gRPC, such as http://127.0.0.1:4317. Unset: no tracing."),
    ] = None
    share: Annotated[
        float,
        Meta(ge=0, le=1, description="Of the calls that no caller traces; of those that one does, it decides."),
    ] = 0.01

    def __post_init__(self) -> None:
        # Found here, not in workers that cannot start.
        if self.endpoint is not None and not _is_installed("opentelemetry.exporter.otlp.proto.grpc.trace_exporter"):
            problem = "OpenTelemetry is not installed: pip install 'nearhash[tracing]'"
            raise InvalidInput("tracing.endpoint", problem)


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
