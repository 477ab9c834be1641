// The SDK of the second line, which speaks 2026-07-28, and before it where it is told to ("legacy").
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

export const open = (world, { say, elicit, person }) => {
  const capabilities = world.capabilities ?? {};
  const client = new Client({ name: "driver", version: "1" }, { capabilities, versionNegotiation: { mode: world.mode ?? "auto" } });
  if (capabilities.elicitation) client.setRequestHandler("elicitation/create", (request) => elicit(request.params));
  for (const kind of ["tools", "prompts", "resources"])
    client.setNotificationHandler(`notifications/${kind}/list_changed`, () => say({ event: "changed", kind }));
  client.onerror = (error) => say({ event: "failed", message: String(error?.message ?? error) });
  const transport = world.url
    ? new StreamableHTTPClientTransport(new URL(world.url), { requestInit: { headers: world.headers ?? {} }, authProvider: person })
    : new StdioClientTransport({ command: world.command, args: world.args, env: world.env, cwd: world.cwd });
  return { client, transport };
};

export const finish = (transport, searchParams) => transport.finishAuth(searchParams);

export const versionOf = (client) => client.getNegotiatedProtocolVersion() ?? null;

export const perform = (client, method, params, options) => client[method](params, options);
