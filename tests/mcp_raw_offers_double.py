"""An MCP server by stdio that no library would write, with resources and prompts: it breaks the rules of their lists, one way by each mode.

python tests/mcp_raw_offers_double.py MODE FOLDER
"""

import json
import sys
from pathlib import Path

TOOL = {"name": "echo", "inputSchema": {"type": "object", "properties": {}}}
MODE, FOLDER = sys.argv[1], Path(sys.argv[2])
GOOD = {"uri": "memo://one", "name": "one"}
PROMPT = {"name": "greet"}
DEEP = '{"jsonrpc": "2.0", "id": %d, "result": {"prompts": ' + "[" * 20_000 + "]" * 20_000 + "}}"


def resources(params):
    if MODE == "odd":
        return {"resources": [7, {"uri": 7}, {"name": "no uri"}, GOOD, {**GOOD, "name": "twice"}, "memo://two"]}
    if MODE == "none":
        return {"resources": "none"}
    if MODE == "endless":
        number = int(params.get("cursor") or 0)
        return {"resources": [{"uri": f"memo://{number}", "name": "n"}], "nextCursor": str(number + 1)}
    if MODE == "circle":
        return {"resources": [GOOD], "nextCursor": "same"}
    if MODE == "wordy":
        return {"resources": [GOOD, {"uri": "memo://two", "name": "two", "description": "x" * 100_000}]}
    return {"resources": [GOOD]}


def listing(method, params):
    if method == "resources/list":
        return resources(params)
    if method == "resources/templates/list":
        return {
            "resourceTemplates": [
                {"name": "bad", "uriTemplate": "memo://{a}{b}/{"},
                {"name": "page", "uriTemplate": "memo://p/{id}"},
            ]
        }
    if MODE == "forgetful" and (FOLDER / "forget").exists():
        return None
    return {"prompts": [PROMPT, {"name": "greet", "title": "again"}, {"title": "no name"}]}


def answer(method, params):
    if method == "initialize":
        return {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}, "resources": {}, "prompts": {}},
            "serverInfo": {"name": "raw", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": [TOOL]}
    if method == "tools/call":
        return {"content": [{"type": "text", "text": "raw"}]}
    if method.endswith("/list"):
        return listing(method, params)
    if method == "resources/read":
        return {"contents": "none"} if MODE == "odd" else {"contents": [{"uri": params["uri"], "text": "t"}]}
    return None


def main():
    for line in sys.stdin:
        request = json.loads(line)
        if "id" not in request:
            continue
        method = request["method"]
        if MODE == "silent" and method == "resources/list":
            continue
        if MODE == "deep" and method == "prompts/list":
            sys.stdout.write(DEEP % request["id"] + "\n")
            sys.stdout.flush()
            continue
        result = answer(method, request.get("params") or {})
        body = {"result": result} if result else {"error": {"code": -32601, "message": "Method not found"}}
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": request["id"], **body}) + "\n")
        sys.stdout.flush()


main()
