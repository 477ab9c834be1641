// The SDK of the first line, which speaks the revisions up to 2025-11-25.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { CallToolResultSchema, ElicitRequestSchema, ToolListChangedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";

export const open = (world, { say, elicit, person }) => {
  const capabilities = world.capabilities ?? {};
  const client = new Client({ name: "driver", version: "1" }, { capabilities });
  if (capabilities.elicitation) client.setRequestHandler(ElicitRequestSchema, (request) => elicit(request.params));
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => say({ event: "changed" }));
  client.onerror = (error) => say({ event: "failed", message: String(error?.message ?? error) });
  const transport = world.url
    ? new StreamableHTTPClientTransport(new URL(world.url), { requestInit: { headers: world.headers ?? {} }, authProvider: person })
    : new StdioClientTransport({ command: world.command, args: world.args, env: world.env, cwd: world.cwd });
  return { client, transport };
};

export const finish = (transport, searchParams) => transport.finishAuth(searchParams.get("code"));

export const versionOf = (client, transport) => transport.protocolVersion ?? transport._protocolVersion ?? null;

export const perform = (client, method, params, options) =>
  method === "callTool" ? client.callTool(params, CallToolResultSchema, options) : client[method](params, options);
