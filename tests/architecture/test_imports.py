"""Imports that import-linter cannot judge: where they stand in a file, and who may touch the process around us."""

import ast
from collections.abc import Iterator
from pathlib import PurePosixPath

# What may be imported inside a function, and why. Everything else stands at the top.
HEAVY = {
    "huggingface_hub": "comes with tokenizers, never needed at start",
    "litellm": "180 MB and 6 s; only where a configured model needs it",
    "llguidance": "native code of the embedded models, not installed without the extra",
    "numpy": "90 ms and 30 MB; only where the embedded embeddings run",
    "onnxruntime": "native code of the embedded models, not installed without the extra",
    "opentelemetry": "the otlp extra; only where a collector is configured",
    "httpx2": "60 ms; only where the second HTTP client is chosen",
    "rich": "only when a command prints a table; `switchgear --help` stays under half a second",
    "tokenizers": "native code of the embedded models, not installed without the extra",
    "uvicorn": "0.1 s; the MCP programs are spoken to by stdio, mostly",
    "xllamacpp": "native code of the embedded models; loaded in the child process only",
}
# Modules of ours that stand before something heavy; each is imported in one place, where the configuration asks for it.
DOORS = {
    "gateway.api.mcp.serving": "mcp, an extra, a second; only where /mcp is configured, or first used",
    "gateway.api.identity.tokens": "PyJWT and cryptography; only where an issuer of tokens is configured",
    "gateway.governance.stores": "SQLAlchemy, 0.4 s; only where a database is configured",
    "gateway.pipeline.guarded_build": "the detectors' patterns, 0.1 s; only where data is protected",
    "gateway.pipeline.guarded_schema": "jsonschema-rs; only where a guardrail has a schema",
    "gateway.pipeline.named_model": "numpy, ONNX Runtime, tokenizers; only where names are looked for",
    "gateway.policies.folder": "Cedar, 10 MB; only where policies are configured",
    "gateway.routing.ensembles.answer_schemas": "jsonschema-rs; only where a cascade looks at schemas",
    "gateway.tools.openapi.exchange": "httpx2; only where an HTTP service has tools",
    "gateway.stores.answers_redis": "redis, an extra; only where Redis is configured",
    "gateway.stores.answers_shared": "comes with answers_redis",
    "gateway.stores.counters_redis": "redis, an extra; only where Redis is configured",
    "gateway.stores.counters_shared": "comes with counters_redis",
    "gateway.stores.secrets": "comes with secrets_opening",
    "gateway.tools.mcp_connection": "mcp, an extra, a second; only where a server of tools is configured",
    "gateway.stores.vectors_embedded": "numpy, an extra; only where questions are embedded",
    "gateway.stores.vectors_qdrant": "qdrant-client, an extra, 2 s; only where Qdrant is configured",
    "gateway.stores.secrets_opening": "SQLAlchemy; only where a configuration refers to a secret of the database",
}
# Commands load what they need when they run, so that --help and completion answer at once.
LAZY_FOLDERS = ("gateway/cli/", "gateway/__main__.py")

ENDPOINTS = {
    "admin", "batches", "chat", "completions", "conversations", "embeddings", "evals", "files", "health", "mcp", "messages",
    "metrics", "models", "moderations", "openapi", "rerank", "responses", "triggers", "vector_stores",
}  # fmt: skip

IMPURE = {
    "aiosqlite", "anyio", "asyncio", "click", "http", "httptools", "httpx2", "io", "litellm", "multiprocessing", "os",
    "pathlib", "requests", "rich", "select", "shutil", "signal", "socket", "sqlite3", "ssl", "starlette", "structlog",
    "subprocess", "tempfile", "threading", "urllib", "uvicorn", "uvloop", "watchfiles", "websockets",
}  # fmt: skip
PURE_FOLDERS = ("gateway/core/", "gateway/dialects/", "gateway/policies/")


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        # `from gateway.api import chat` imports gateway.api.chat as far as an arrow is concerned.
        return [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def imports(tree: ast.AST) -> list[str]:
    return [name for node in ast.walk(tree) for name in imported(node)]


def inner_imports(tree: ast.AST) -> Iterator[str]:
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                yield from imported(node)[:1]


def environment_reads(tree: ast.AST) -> list[str]:
    attributes = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    found = [f"{node.value.id}.{node.attr}" for node in attributes if isinstance(node.value, ast.Name)]
    wanted = {"os.environ", "os.getenv", "os.environb", "os.putenv"}
    return [name for name in (*found, *imports(tree)) if name in wanted]


def global_statements(tree: ast.AST) -> list[int]:
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Global)]


def endpoints_imported(path: str, tree: ast.AST) -> list[str]:
    own = PurePosixPath(path).stem
    targets = {name.removeprefix("gateway.api.").partition(".")[0] for name in imports(tree) if "gateway.api." in name}
    # The files of a package are one endpoint together.
    return sorted(targets & ENDPOINTS - {own, PurePosixPath(path).parent.name})


def impure_imports(tree: ast.AST) -> list[str]:
    return sorted({name.partition(".")[0] for name in imports(tree)} & IMPURE)


def test_imports_stand_at_the_top_of_the_file(repository):
    found = {
        path: sorted(names)
        for path, tree in repository.source.items()
        if not path.startswith(LAZY_FOLDERS)
        and (
            names := {name for name in inner_imports(tree) if name.partition(".")[0] not in HEAVY and name not in DOORS}
        )
    }

    assert found == {}


def test_the_environment_is_read_in_one_file_of_each(repository):
    readers = [path for path, tree in repository.source.items() if environment_reads(tree)]

    assert set(readers) <= {"gateway/config/environment.py", "mcp_servers/environment.py"}


def test_no_module_rebinds_a_global(repository):
    assert {path: found for path, tree in repository.source.items() if (found := global_statements(tree))} == {}


def test_one_provider_file_imports_litellm(repository):
    users = [
        path
        for path, tree in repository.source.items()
        if "litellm" in {name.partition(".")[0] for name in imports(tree)}
    ]

    assert len(users) <= 1
    assert all(path.startswith("gateway/providers/") for path in users)


def test_endpoint_files_do_not_import_each_other(repository):
    found = {
        path: names
        for path, tree in repository.source.items()
        if path.startswith("gateway/api/")
        and PurePosixPath(path).stem in ENDPOINTS
        and (names := endpoints_imported(path, tree))
    }

    assert found == {}


def test_the_core_the_dialects_and_the_policies_do_no_io(repository):
    found = {
        path: names
        for path, tree in repository.source.items()
        if path.startswith(PURE_FOLDERS) and (names := impure_imports(tree))
    }

    assert found == {}


def test_the_gateway_and_the_mcp_servers_meet_only_over_mcp(repository):
    other = {"gateway": "mcp_servers", "mcp_servers": "gateway"}
    crossings = [
        path
        for path, tree in repository.source.items()
        if any(name.partition(".")[0] == other[path.partition("/")[0]] for name in imports(tree))
    ]

    assert crossings == []


def test_the_checks_see_what_they_forbid():
    bad = ast.parse(
        "import socket\n"
        "from os import environ\n"
        "from gateway.api import chat\n"
        "from gateway.api.models import Models\n"
        "def late():\n"
        "    import json\n"
        "    global state\n"
        "    return os.getenv('HOME')\n"
    )

    assert list(inner_imports(bad)) == ["json"]
    assert environment_reads(bad) == ["os.getenv", "os.environ"]
    assert global_statements(bad) == [7]
    assert endpoints_imported("gateway/api/messages.py", bad) == ["chat", "models"]
    assert impure_imports(bad) == ["os", "socket"]
