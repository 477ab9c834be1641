// A client of the official TypeScript SDK that does what it is told: one JSON object a line on standard input, and the same on standard output.
//
//   node driver.mjs v1|v2 '{"url": …, "headers": …, "mode": "auto"|"legacy", "capabilities": …, "oauth": true}'
//   node driver.mjs v1|v2 '{"command": …, "args": […], "env": …}'
//
//   in   {"id": 1, "do": "callTool", "params": {…}, "options": {"timeout": 5000}}   a method of the client
//        {"id": 2, "do": "abort", "target": 1}                                      gives up what was asked
//        {"answer": 1, "value": {…}}                                                to what the server wants of the user
//   out  {"id": 1, "result": …} or {"id": 1, "error": {"name": …, "code": …, "message": …}}
//        {"event": "progress"|"changed"|"elicit"|"failed", …}
import { createInterface } from "node:readline";

const [version, described] = process.argv.slice(2);
const world = JSON.parse(described);
const sdk = await import(`./${version}.mjs`);

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const told = (error) => ({ name: error?.name, code: error?.code, message: String(error?.message ?? error), data: error?.data });

// What the server wants of the user is asked of who drives this.
const waiting = new Map();
const elicit = (params) => {
  const number = waiting.size + 1;
  return new Promise((answer) => {
    waiting.set(number, answer);
    say({ event: "elicit", number, params });
  });
};

// A person at a browser, who agrees to everything. The codes that he comes back with are kept until they are redeemed.
class Person {
  constructor() {
    this.kept = {};
    this.searchParams = undefined;
    this.sent = [];
  }
  get redirectUrl() {
    return "http://127.0.0.1:9/callback";
  }
  get clientMetadata() {
    return { client_name: "driver", redirect_uris: [this.redirectUrl], grant_types: ["authorization_code", "refresh_token"], token_endpoint_auth_method: "none" };
  }
  state() {
    return "the-state-of-the-driver";
  }
  clientInformation() {
    return this.kept.client;
  }
  saveClientInformation(client) {
    this.kept.client = client;
  }
  tokens() {
    return this.kept.tokens;
  }
  saveTokens(tokens) {
    this.kept.tokens = tokens;
  }
  codeVerifier() {
    return this.kept.verifier;
  }
  saveCodeVerifier(verifier) {
    this.kept.verifier = verifier;
  }
  async redirectToAuthorization(url) {
    this.sent.push(url.searchParams.get("scope"));
    const answered = await fetch(url, { redirect: "manual" });
    this.searchParams = new URL(answered.headers.get("location")).searchParams;
  }
}

const person = world.oauth ? new Person() : undefined;
let { client, transport } = sdk.open(world, { say, elicit, person });

// An SDK that has sent its user away wants to be told the code, and is then used again.
const authorized = async (attempt) => {
  try {
    return await attempt();
  } catch (error) {
    if (person?.searchParams === undefined) throw error;
    const searchParams = person.searchParams;
    person.searchParams = undefined;
    await sdk.finish(transport, searchParams);
    return undefined;
  }
};

const connect = async () => {
  if (person !== undefined) {
    // The first attempt is the one that is sent away; a client that failed to connect is not used again.
    const connected = await authorized(async () => (await client.connect(transport), true));
    if (connected) return;
    ({ client, transport } = sdk.open(world, { say, elicit, person }));
  }
  await client.connect(transport);
};

const under_way = new Map();
const subscriptions = [];
const own = {
  about: async () => ({
    version: sdk.versionOf(client, transport),
    capabilities: client.getServerCapabilities(),
    server: client.getServerVersion(),
    instructions: client.getInstructions(),
    scopes: person?.sent,
  }),
  listen: async ({ params }) => {
    const subscription = await client.listen(params);
    subscriptions.push(subscription);
    subscription.closed.then((how) => say({ event: "closed", how }));
    return subscription.honoredFilter;
  },
  close: async () => client.close(),
};

const perform = async (asked) => {
  const giving_up = new AbortController();
  under_way.set(asked.id, giving_up);
  const options = { ...asked.options, signal: giving_up.signal };
  if (asked.progress) options.onprogress = (progress) => say({ event: "progress", of: asked.id, ...progress });
  const attempt = () => (own[asked.do] ? own[asked.do](asked) : sdk.perform(client, asked.do, asked.params, options));
  try {
    let result = await authorized(attempt);
    // A step up of its scopes may have come between.
    if (result === undefined && person !== undefined) result = await attempt();
    say({ id: asked.id, result: result ?? null });
  } catch (error) {
    say({ id: asked.id, error: told(error) });
  } finally {
    under_way.delete(asked.id);
  }
};

try {
  await connect();
  say({ id: 0, result: (await own.about()).version });
} catch (error) {
  say({ id: 0, error: told(error) });
  process.exit(0);
}
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  if (asked.answer !== undefined) waiting.get(asked.answer)(asked.value);
  else if (asked.do === "abort") under_way.get(asked.target)?.abort("given up");
  else perform(asked);
}
await client.close();
process.exit(0);
