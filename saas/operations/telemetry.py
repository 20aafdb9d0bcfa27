"""Errors to Sentry and traces to an OpenTelemetry collector, where a setting names one. Else neither is even imported."""

from typing import Any

from django.conf import settings

from saas import __version__, redaction, request_context


def start_telemetry() -> None:
    """Once in each process, when the settings are known."""
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
        before_send=_cleaned,
        before_breadcrumb=_cleaned,
    )


def _cleaned(event: Any, _: Any) -> Any:
    """The same rules as for log lines; and the request id, by which the two are found together."""
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

    provider = TracerProvider(
        resource=Resource.create({"service.name": settings.SERVICE, "service.version": __version__})
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.OTEL_ENDPOINT)))
    trace.set_tracer_provider(provider)
    DjangoInstrumentor().instrument(response_hook=_named)
    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]


def _named(span: Any, request: Any, response: Any) -> None:
    """By its request id, and without what stood in its query."""
    span.set_attribute("request_id", request_context.current().request_id)
    for name in ("http.url", "url.full", "http.target", "url.query"):
        span.set_attribute(name, request.path_info)
