"""Report errors to Sentry and traces to an OpenTelemetry collector, where configured; else neither library is imported."""

import sys
from typing import Any

from django.conf import settings

from saas import __version__, request_context
from saas.security import redaction


def start_telemetry() -> None:
    """Start reporting; to be called once in each process, when the settings are loaded."""
    if settings.SENTRY_DSN:
        _report_errors()
    if settings.OTEL_ENDPOINT:
        _trace()


def _report_errors() -> None:
    import sentry_sdk

    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        release=__version__,
        environment=settings.SAAS_ENV,
        send_default_pii=False,
        include_local_variables=False,  # a password is one
        max_request_body_size="never",
        before_send=_redacted,
        before_breadcrumb=_redacted,
    )


def _redacted(event: Any, _: Any) -> Any:
    """Redact as in log lines, and add the request id, by which both are found together."""
    cleaned = redaction.redact_fields(event)
    if "exception" in cleaned:
        cleaned.setdefault("tags", {})["request_id"] = request_context.current().request_id
    return cleaned


def _trace() -> None:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.celery import CeleryInstrumentor
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": _process_name(), "service.version": __version__})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(_request_id_processor())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.OTEL_ENDPOINT)))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument(response_hook=_annotate_span)
    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]
    request_context.start_tracing(trace.get_tracer("saas"))


def _request_id_processor() -> Any:
    """Give the request id to spans that start within a request or task, whichever library starts them."""
    from opentelemetry.sdk.trace import SpanProcessor

    class RequestIdProcessor(SpanProcessor):
        def on_start(self, span: Any, parent_context: Any = None) -> None:
            if request_id := request_context.current().request_id:
                span.set_attribute("request_id", request_id)

    return RequestIdProcessor()


def _process_name() -> str:
    """A service's name, ``worker``, ``beat`` or ``command``: these three run with the settings of a service."""
    if settings.PROCESS == "service":
        return settings.SERVICE
    return "beat" if settings.PROCESS == "worker" and "beat" in sys.argv else settings.PROCESS


def _annotate_span(span: Any, request: Any, response: Any) -> None:
    """Add the request id to a span, and remove the query string."""
    for name in ("http.url", "url.full", "http.target", "url.query"):
        span.set_attribute(name, request.path_info)
    span.set_attribute("request_id", response.headers.get("X-Request-ID", ""))
