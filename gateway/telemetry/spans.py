"""One OpenTelemetry span for each call, made from its record after the answer has left, and sent by OTLP over HTTP.

It holds no prompt, no answer and no secret. The libraries come with the extra `otlp` and are imported only when a collector
is configured.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
from anyio import to_thread

from gateway.config import ConfigError, Fault, ProviderSettings
from gateway.config.secret import Secret
from gateway.config.settings import OtlpSettings
from gateway.core.record import Record
from gateway.core.usage import Usage
from gateway.telemetry import genai_names as names

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

QUEUE_SPANS = 8192
BATCH_SPANS = 512
SEND_EVERY_SECONDS = 2.0
SEND_SECONDS = 10.0
CLOSE_SECONDS = 5.0
NANOSECONDS = 1_000_000_000

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")

Attribute = str | bool | int | float | tuple[str, ...]
FindProvider = Callable[[str], ProviderSettings | None]


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """The trace that a span belongs to; `parent` and `sampled` are the client's, where it sent a `traceparent`."""

    id: int
    parent: int | None = None
    sampled: bool | None = None


def continued(traceparent: str | None) -> Trace | None:
    """Read a `traceparent` header (W3C Trace Context, version 00 and later ones); None for none or an invalid one."""
    found = None if traceparent is None else _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return None
    trace, parent, flags = (int(part, 16) for part in found.groups())
    return Trace(id=trace, parent=parent, sampled=bool(flags & 1)) if trace and parent else None


class Spans:
    """Takes records, makes spans of a share of them, and leaves sending to a thread with a bounded queue.

    `find_provider` gives the settings of a provider by its configured name. When the collector is slow or gone, the oldest
    spans are lost; a call never waits. Raises ConfigError when the extra is not installed.
    """

    def __init__(
        self,
        settings: OtlpSettings,
        *,
        find_provider: FindProvider,
        version: str,
        randbits: Callable[[int], int] = secrets.randbits,
    ) -> None:
        try:
            # Heavy (100 ms, 20 MB) and an extra: imported only where a collector is configured.
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415
            from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags  # noqa: PLC0415
        except ImportError as exc:
            raise ConfigError([_extra_is_missing(exc)]) from exc
        resource = Resource.create({"service.name": settings.service_name, "service.version": version})
        scope = InstrumentationScope("switchgear", version)
        sampled = TraceFlags(TraceFlags.SAMPLED)
        exporter = OTLPSpanExporter(
            endpoint=settings.endpoint.rstrip("/") + "/v1/traces",
            headers=_plain(settings.headers),
            timeout=SEND_SECONDS,
        )
        self._processor = BatchSpanProcessor(
            exporter,
            max_queue_size=QUEUE_SPANS,
            max_export_batch_size=BATCH_SPANS,
            schedule_delay_millis=SEND_EVERY_SECONDS * 1000,
        )
        self._sample = settings.sample
        self._find_provider = find_provider
        self._randbits = randbits

        def new_span(record: Record, trace: Trace, attributes: dict[str, Attribute]) -> ReadableSpan:
            parent = (
                None
                if trace.parent is None
                else SpanContext(trace.id, trace.parent, is_remote=True, trace_flags=sampled)
            )
            model = f" {record.model}" if record.model else ""
            failed = Status(StatusCode.ERROR, record.error) if record.error else Status(StatusCode.UNSET)
            return ReadableSpan(
                name=f"{attributes[names.OPERATION_NAME]}{model}",
                context=SpanContext(trace.id, self._randbits(64) or 1, is_remote=False, trace_flags=sampled),
                parent=parent,
                resource=resource,
                attributes=attributes,
                kind=SpanKind.CLIENT,
                status=failed,
                start_time=round(record.started_at * NANOSECONDS),
                end_time=round((record.started_at + record.duration) * NANOSECONDS),
                instrumentation_scope=scope,
            )

        self._new_span = new_span

    def take(self, records: Sequence[Record]) -> None:
        """Make spans of a batch of records and queue them. Does not block."""
        for record in records:
            trace = continued(record.trace) or Trace(id=self._randbits(128) or 1)
            if self._samples(trace):
                self._processor.on_end(self._new_span(record, trace, self._attributes(record)))

    def _samples(self, trace: Trace) -> bool:
        """A client that traces has decided; else the low 64 bits decide, as OpenTelemetry's TraceIdRatioBased does."""
        if trace.sampled is not None:
            return trace.sampled
        return trace.id & (2**64 - 1) < self._sample * 2**64

    async def aclose(self) -> None:
        """Send what is waiting, for at most five seconds; what is left then is lost."""
        # The processor would wait for half a minute. A daemon thread does not keep the process alive.
        closing = threading.Thread(target=self._processor.shutdown, name="spans-closing", daemon=True)
        closing.start()
        await to_thread.run_sync(closing.join, CLOSE_SECONDS)

    def _attributes(self, record: Record) -> dict[str, Attribute]:
        found: dict[str, Attribute] = {
            names.OPERATION_NAME: names.operation_name(record.operation, record.dialect),
            names.REQUEST_STREAM: record.stream,
            names.CALL_ID: record.id,
            names.CALLER: record.caller,
            names.DIALECT: record.dialect,
            names.STATUS: record.status,
        }
        provider = self._find_provider(record.provider) if record.provider else None
        optional: tuple[tuple[str, Attribute | None], ...] = (
            (names.PROVIDER_NAME, None if provider is None else names.provider_name(provider)),
            (names.REQUEST_MODEL, record.model or None),
            (names.RESPONSE_MODEL, record.served),
            (names.RESPONSE_FINISH_REASONS, None if record.finish_reason is None else (record.finish_reason,)),
            (names.RESPONSE_TIME_TO_FIRST_CHUNK, record.first_token if record.stream else None),
            (names.ERROR_TYPE, record.error),
            (names.COST, record.cost),
            (names.ROUTE, record.route or None),
            (names.DROPPED, record.dropped or None),
            (names.CACHE, record.cache or None),
            (names.DEGRADED, record.degraded or None),
            (names.EMULATED, record.emulated or None),
            (names.GUARDS, tuple(f"{guard[0]}: {guard[1]}" for guard in record.guards) or None),
            (names.FOUND, tuple(f"{kind}: {count}" for kind, count in record.found) or None),
        )
        found.update((name, value) for name, value in optional if value is not None)
        found.update(
            (names.PARAMETERS[key], value) for key, value in record.parameters.items() if key in names.PARAMETERS
        )
        if record.usage is not None:
            found.update(_usage(record.usage))
        return found


def _usage(usage: Usage) -> dict[str, Attribute]:
    """The conventions count cached tokens as input and reasoning as output; their buckets overlap, ours do not."""
    found: dict[str, Attribute] = {names.USAGE_INPUT: usage.input_total, names.USAGE_OUTPUT: usage.output_total}
    optional = (
        (names.USAGE_CACHE_READ, usage.cache_read),
        (names.USAGE_CACHE_WRITE, usage.cache_write + usage.cache_write_1h),
        (names.USAGE_REASONING, usage.reasoning),
        (names.USAGE_ESTIMATED, usage.estimated),
    )
    found.update((name, value) for name, value in optional if value)
    return found


def _plain(headers: Mapping[str, str | Secret]) -> dict[str, str]:
    return {name: value.reveal() if isinstance(value, Secret) else value for name, value in headers.items()}


def _extra_is_missing(exc: ImportError) -> Fault:
    message = f"needs the extra: pip install 'switchgear[otlp]' ({exc.name or exc} is not installed)"
    return Fault(file="switchgear", path="telemetry.otlp", message=message)
