"""Spans of calls, for OpenTelemetry. Nothing of it is loaded unless it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import grpc

from nearhash_service.config import TracingSection
from nearhash_service.sight.current_call import current_call

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

__all__ = ["Tracing"]

Answer = Callable[[Any, grpc.ServicerContext], Any]

_SERVERS_FAULT = {grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS, grpc.StatusCode.UNKNOWN}


class Tracing:
    """Sends a span for each call, within the caller's trace if it has one.

    Parameters
    ----------
    provider : TracerProvider
    """

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415 - only if it is asked for
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        self._provider = provider
        self._tracer = provider.get_tracer("nearhash")
        self._propagator = TraceContextTextMapPropagator()
        self._kind = SpanKind.SERVER
        self._failed = Status(StatusCode.ERROR)

    @classmethod
    def to(cls, section: TracingSection) -> Self | None:
        """Return tracing as configured; None without an endpoint."""
        if section.endpoint is None:
            return None
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: PLC0415

        provider = TracerProvider(
            resource=Resource.create({"service.name": "nearhash"}),
            sampler=ParentBased(TraceIdRatioBased(section.share)),
            # It is closed when calls have ended, not when the interpreter does.
            shutdown_on_exit=False,
        )
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=section.endpoint)))
        return cls(provider)

    def close(self) -> None:
        """Send what is still to be sent."""
        self._provider.shutdown()

    def traced(self, answer: Answer, method: str) -> Answer:
        """Wrap what answers a unary method, so that its calls are spans.

        Parameters
        ----------
        method : str
            As gRPC names it: "/package.Service/Method".
        """
        _, service, name = method.split("/")
        attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}

        def call(request: Any, context: grpc.ServicerContext) -> Any:
            of_call = current_call()
            parent = self._propagator.extract(of_call.metadata() if of_call else {})
            with self._tracer.start_as_current_span(
                f"{service}/{name}",
                context=parent,
                kind=self._kind,
                attributes=attributes,
                # The status says it. An exception's text may be anything.
                record_exception=False,
                set_status_on_exception=False,
            ) as span:
                try:
                    return answer(request, context)
                finally:
                    if span.is_recording():
                        self._describe(span, context)

        return call

    def _describe(self, span: Span, context: grpc.ServicerContext) -> None:
        code = context.code() or grpc.StatusCode.OK  # type: ignore[attr-defined]
        span.set_attribute("rpc.grpc.status_code", code.value[0])
        if code in _SERVERS_FAULT:
            span.set_status(self._failed)
        of_call = current_call()
        if of_call and of_call.lookup:
            span.set_attributes({f"nearhash.{key}": value for key, value in of_call.lookup._asdict().items()})
