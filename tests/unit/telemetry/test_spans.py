"""Spans: one for each call, by the GenAI conventions, sent off the request's path to a real OTLP/HTTP receiver."""

import gzip
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

from gateway.config import ProviderSettings
from gateway.config.provider_settings import AnthropicSettings, LitellmSettings, OpenAISettings
from gateway.config.secret import Secret
from gateway.config.settings import OtlpSettings
from gateway.core.record import Record
from gateway.core.usage import Usage
from gateway.telemetry import genai_names
from gateway.telemetry.spans import Spans, continued

PROVIDERS: dict[str, ProviderSettings] = {"hosted": OpenAISettings(), "claude": AnthropicSettings()}


class Collector:
    """An OTLP/HTTP receiver that keeps what it is sent; `gate` holds its answers back."""

    def __init__(self):
        self.requests = []
        self.headers = []
        self.gate = threading.Event()
        self.gate.set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.gate.wait(10)
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.headers.append((self.path, dict(self.headers.items())))
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self.gate.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def spans(self):
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
def collector():
    with Collector() as running:
        yield running


def spans_to(url, **settings):
    return Spans(OtlpSettings(endpoint=url, **settings), find_provider=PROVIDERS.get, version="1.2.3")


def record(**changes):
    fields = {
        "id": "call_1", "started_at": 1_700_000_000.25, "operation": "generate", "dialect": "openai_chat", "stream": True,
        "caller": "key_7", "model": "chat", "provider": "hosted", "served": "gpt-5-mini",
        "route": ("gpu/llama", "hosted/gpt-5-mini"), "status": 200, "duration": 1.5, "first_token": 0.5, "upstream": 0.4,
        "usage": Usage(input=70, cache_read=20, cache_write=10, output=30, reasoning=12), "cost": 0.25,
        "finish_reason": "stop", "error": None, "parameters": {"temperature": 0.5, "max_tokens": 100},
    }  # fmt: skip
    return Record(**{**fields, **changes})


def values(span):
    def plain(value):
        kind = value.WhichOneof("value")
        return [plain(item) for item in value.array_value.values] if kind == "array_value" else getattr(value, kind)

    return {attribute.key: plain(attribute.value) for attribute in span.attributes}


async def send(collector, *records, **settings):
    spans = spans_to(collector.url, **settings)
    spans.take(records)
    await spans.aclose()
    return collector.spans


async def test_a_call_becomes_one_span_by_the_conventions(collector):
    (span,) = await send(collector, record())

    assert span.name == "chat chat"
    assert span.end_time_unix_nano - span.start_time_unix_nano == pytest.approx(1.5e9)
    assert span.start_time_unix_nano == pytest.approx(1_700_000_000.25e9)
    assert span.kind == 3  # CLIENT
    assert len(span.trace_id) == 16
    assert len(span.span_id) == 8
    assert values(span) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "chat",
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.response.model": "gpt-5-mini",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": 0.5,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 42,
        "gen_ai.usage.cache_read.input_tokens": 20,
        "gen_ai.usage.cache_creation.input_tokens": 10,
        "gen_ai.usage.reasoning.output_tokens": 12,
        "switchgear.call.id": "call_1",
        "switchgear.caller": "key_7",
        "switchgear.cost_dollars": 0.25,
        "switchgear.dialect": "openai_chat",
        "switchgear.route": ["gpu/llama", "hosted/gpt-5-mini"],
        "switchgear.status": 200,
    }


async def test_a_failed_call_is_a_span_with_an_error_and_without_what_is_unknown(collector):
    failed = record(
        status=504, error="upstream_timeout", usage=None, cost=None, finish_reason=None, first_token=None, parameters={}
    )
    (span,) = await send(collector, failed)

    assert span.status.code == 2
    assert span.status.message == "upstream_timeout"
    assert values(span)["error.type"] == "upstream_timeout"
    assert not {name for name in values(span) if "usage" in name or "cost" in name or "finish" in name}


async def test_a_refused_request_without_model_is_a_span_too(collector):
    (span,) = await send(collector, record(model="", provider=None, served=None, route=(), usage=None, cost=None))

    assert span.name == "chat"
    assert "gen_ai.provider.name" not in values(span)


async def test_the_collector_is_told_the_service_and_sent_the_configured_headers(collector):
    secret = Secret("s3cret", source="env:OTLP_KEY")
    await send(collector, record(), service_name="front", headers={"x-tenant": "acme", "authorization": secret})

    (request,) = collector.requests
    resource = {item.key: item.value.string_value for item in request.resource_spans[0].resource.attributes}
    ((path, headers),) = collector.headers
    assert path == "/v1/traces"
    assert resource["service.name"] == "front"
    assert resource["service.version"] == "1.2.3"
    assert {name.lower(): value for name, value in headers.items()}.items() >= {
        "x-tenant": "acme",
        "authorization": "s3cret",
    }.items()


async def test_everything_that_waits_is_sent_at_shutdown(collector):
    spans = await send(collector, *(record(id=f"call_{number}") for number in range(1500)))

    assert len({values(span)["switchgear.call.id"] for span in spans}) == 1500


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0, 0), (0.5, 400, 600), (1.0, 1000, 1000)])
async def test_a_share_of_the_calls_becomes_spans(collector, share, low, high):
    spans = await send(collector, *(record() for _ in range(1000)), sample=share)

    assert low <= len(spans) <= high


async def test_a_collector_that_does_not_answer_holds_nobody_up_and_fills_no_memory(collector, monkeypatch):
    monkeypatch.setattr("gateway.telemetry.spans.CLOSE_SECONDS", 0.2)
    collector.gate.clear()
    spans = spans_to(collector.url)

    with anyio.fail_after(5):
        for _ in range(30):
            spans.take([record()] * 1000)
        await spans.aclose()

    assert collector.requests == []


async def test_a_collector_that_is_not_there_is_no_fault_of_the_call(monkeypatch):
    monkeypatch.setattr("gateway.telemetry.spans.CLOSE_SECONDS", 0.2)
    spans = spans_to("http://127.0.0.1:9")

    with anyio.fail_after(5):
        spans.take([record()])
        await spans.aclose()


def test_our_names_are_those_of_the_installed_conventions():
    known = {
        value
        for name, value in vars(gen_ai_attributes).items()
        if name.startswith("GEN_AI_") and isinstance(value, str)
    }
    ours = {value for value in vars(genai_names).values() if isinstance(value, str) and value.startswith("gen_ai.")}

    assert len(ours) > 10
    assert (ours | set(genai_names.PARAMETERS.values())) - known == set()


def test_a_provider_is_named_by_its_vendor():
    vertex = LitellmSettings(provider="vertex_ai", api_base="https://x")

    assert genai_names.provider_name(OpenAISettings(kind="gemini")) == "gcp.gemini"
    assert genai_names.provider_name(OpenAISettings(kind="groq")) == "groq"
    assert genai_names.provider_name(AnthropicSettings()) == "anthropic"
    assert genai_names.provider_name(vertex) == "gcp.vertex_ai"


def test_a_missing_extra_is_a_clear_fault_of_the_configuration():
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from gateway.config import ConfigError\n"
        "from gateway.config.settings import OtlpSettings\n"
        "from gateway.telemetry.spans import Spans\n"
        "try: Spans(OtlpSettings(endpoint='http://127.0.0.1:9'), find_provider=dict().get, version='1')\n"
        "except ConfigError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "telemetry.otlp" in done.stdout
    assert "pip install 'switchgear[otlp]'" in done.stdout


async def test_a_call_of_a_client_that_traces_continues_its_trace(collector):
    """W3C Trace Context: the client's trace and span are the parent, and its decision to sample holds."""
    sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    spans = await send(collector, record(trace=sent), sample=0.0)

    assert [span.trace_id.hex() for span in spans] == ["0af7651916cd43dd8448eb211c80319c"]
    assert spans[0].parent_span_id.hex() == "b7ad6b7169203331"


async def test_a_client_that_decided_not_to_sample_is_obeyed(collector):
    unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"

    spans = await send(collector, record(trace=unsampled), record(id="call_seen"), sample=1.0)

    assert [values(span)[genai_names.CALL_ID] for span in spans] == ["call_seen"]


@pytest.mark.parametrize(
    "traceparent",
    [None, "", "00-xyz", f"00-{'0' * 32}-b7ad6b7169203331-01", f"ff-{'a' * 32}-b7ad6b7169203331-01", "a" * 55],
)
def test_an_invalid_traceparent_begins_a_trace_of_its_own(traceparent):
    assert continued(traceparent) is None
