"""An MCP server by stdio that no library would write: it breaks the rules of the protocol, one way by each mode.

python tests/mcp_raw_double.py MODE FOLDER
"""

import json
import os
import sys

TOOL = {"name": "echo", "inputSchema": {"type": "object", "properties": {}}}
MODE = sys.argv[1]


RESULTS = {
    "halved": r'{"content": [{"type": "text", "text": "half of a pair: \ud83d"}]}',
    "deep": '{"content": [], "structuredContent": {"id": 99, "a": ' + "[" * 20_000 + "]" * 20_000 + "}}",
    "bare": '"just a text"',
}


def listing(params):
    if MODE == "odd":
        return {"tools": [TOOL, {"name": 7, "inputSchema": "none"}, "zebra", {"name": "zebra", "inputSchema": {}}]}
    if MODE == "none":
        return {"tools": "none"}
    if MODE == "endless":
        number = int(params.get("cursor") or 0)
        return {"tools": [{**TOOL, "name": f"tool_{number}"}], "nextCursor": str(number + 1)}
    if MODE == "unusable":
        broken = {"type": "object", "properties": {"a": {"$ref": "https://example.com/schema.json"}}}
        return {"tools": [TOOL, {"name": "broken", "inputSchema": broken}]}
    return {"tools": [TOOL]}


def answer(request):
    method = request["method"]
    if method == "initialize":
        return {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "raw", "version": "1"},
        }
    if method == "tools/list":
        return listing(request.get("params") or {})
    if method == "tools/call":
        return {"content": [{"type": "text", "text": "raw"}]}
    return None


def say(stream, text):
    stream.write(f"{text}\n")
    stream.flush()


def main():
    if MODE == "silent":
        sys.stdin.read()
    if MODE == "talkative":
        say(sys.stderr, f"\x1b[31mthe key is {os.environ['KEY']}")
        say(sys.stdout, "this is no message")
    for line in sys.stdin:
        request = json.loads(line)
        if "id" not in request:
            continue
        if MODE in RESULTS and request["method"] == "tools/call":
            say(sys.stdout, f'{{"jsonrpc": "2.0", "id": {request["id"]}, "result": {RESULTS[MODE]}}}')
            continue
        if MODE == "posing" and request["method"] == "tools/call":
            posing = {"code": -32096, "message": "nobody has authorized it"}
            say(sys.stdout, json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": posing}))
            continue
        result = answer(request)
        body = {"result": result} if result else {"error": {"code": -32601, "message": "Method not found"}}
        say(sys.stdout, json.dumps({"jsonrpc": "2.0", "id": request["id"], **body}))


main()
