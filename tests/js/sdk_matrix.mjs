#!/usr/bin/env node
// The official JavaScript client in every cell of the SDK matrix: what it gives and throws through the gateway is what it
// gives and throws when it calls the provider itself, byte for byte. Prints a line of JSON for each call through the
// gateway. What the lines mean for the books is judged by the test that runs this file.
//
//     sdk_matrix.mjs CLIENT…    names of clients of the table
//
// From that test: TOLLGATE_MATRIX, the table; TOLLGATE_GATEWAY and TOLLGATE_PROVIDER, URLs without a path;
// TOLLGATE_API_KEY; TOLLGATE_NODE_PACKAGES, the folder that scripts/node.sh makes.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

// Most cells wait: for a limit of the gateway's, or for the end of their own patience.
const CELLS_AT_ONCE = 192;
const PATIENCE_MS = 60_000;

// Providers count their ids up and look at the clock, so these differ from call to call. Nothing else may.
const IDS = /\b(chatcmpl-|cmpl-|resp_|msg_|rs_|ws_|ig_|modr-|img-)[0-9A-Za-z-]*/g;
const TIMES = /("created(?:_at)?": ?)[0-9.]*/g;
// Names of this one answer, and how it was sent. Azure's last three are not passed on: headers pass by a list.
const OWN_HEADERS = new Set([
  "date", "x-request-id", "openai-processing-ms", "connection", "keep-alive", "transfer-encoding",
  "apim-request-id", "x-ms-region", "x-content-type-options",
]);

function environment(name) {
  const value = process.env[name];
  if (!value) {
    console.error(`${name} is not set; it comes from the test that runs this file`);
    process.exit(1);
  }
  return value;
}

function packages() {
  try {
    return createRequire(join(environment("TOLLGATE_NODE_PACKAGES"), "package.json"))("openai");
  } catch (error) {
    console.error(`the openai package is missing (${error.message}): run \`make setup\``);
    process.exit(1);
  }
}

const openai = packages();
const [GATEWAY, PROVIDER] = [environment("TOLLGATE_GATEWAY"), environment("TOLLGATE_PROVIDER")];
const API_KEY = environment("TOLLGATE_API_KEY");
const TABLE = JSON.parse(readFileSync(environment("TOLLGATE_MATRIX"), "utf8"));
const names = process.argv.slice(2);
const CLIENTS = TABLE.clients.filter((client) => names.includes(client.name));
if (CLIENTS.length !== names.length) {
  console.error(`the table knows only some of the clients ${names}`);
  process.exit(1);
}

const comparable = (text) => text.replace(IDS, "$1#").replace(TIMES, "$10");

function headOf(status, headers) {
  const kept = Object.fromEntries([...headers].filter(([name]) => !OWN_HEADERS.has(name)));
  if ((kept["content-type"] ?? "").includes("event-stream")) {
    delete kept["content-length"]; // usage may be taken out of a stream on its way
  }
  return { status, headers: kept };
}

// Everything that an exception of the SDK shows; of another one, such as the runtime's own when a body breaks off, its kind.
function errorOf(error) {
  if (!(error instanceof openai.OpenAIError)) {
    return { type: error.constructor.name, text: error.name, message: error.message };
  }
  const shown = { type: error.constructor.name, text: comparable(error.message) };
  if (error.status !== undefined) {
    const { status, code, param, type, error: body } = error;
    Object.assign(shown, { status, code, param, body, typeOfError: type, head: headOf(status, error.headers) });
  }
  return shown;
}

// What is to be done when the head of an answer has come, by the call's nonce.
const whenBegun = new Map();

async function fetchAndTell(url, init) {
  const response = await fetch(url, init);
  whenBegun.get(new Headers(init.headers).get("x-client-request-id") + new URL(url).origin)?.();
  return response;
}

const clients = new Map();

// One client for all calls, as an app would have it. For edited pictures Azure's finds no model in its form and has to be
// told the deployment.
function clientOf({ client, call, model, base, key: apiKey }) {
  const deployment = !client.base && call.method === "images.edit" ? model : undefined;
  const name = `${client.name} ${base} ${apiKey} ${deployment}`;
  if (!clients.has(name)) {
    const options = { apiKey, maxRetries: 0, timeout: PATIENCE_MS, fetch: fetchAndTell };
    clients.set(name, client.base
      ? new openai.OpenAI({ baseURL: base + client.base, ...options })
      : new openai.AzureOpenAI({ endpoint: base, apiVersion: client.api_version, deployment, ...options }));
  }
  return clients.get(name);
}

async function parameters(call, model) {
  const params = {};
  for (const [name, value] of Object.entries(call.params)) {
    params[name] = value;
    if (value?.$file) {
      const [file, length] = value.$file;
      params[name] = await openai.toFile(Buffer.from(Array.from({ length }, (_, index) => index % 251)), file);
    }
  }
  return model && call.method !== "models.retrieve" ? { ...params, model } : params;
}

// Calls the client's method; gives its promise, which can be asked for the value or for the raw answer. It stands in an
// object, for a promise that an async function gives is waited for.
async function begin(ask) {
  const path = ask.call.method.split(".");
  const method = path.pop();
  const of = path.reduce((at, name) => at[name], clientOf(ask));
  const options = { headers: ask.headers };
  if (ask.patienceMs) {
    const giveUp = new AbortController();
    ask.signal = options.signal = giveUp.signal;
    whenBegun.set(ask.nonce + ask.base, () => setTimeout(() => giveUp.abort(), ask.patienceMs));
  }
  const params = await parameters(ask.call, ask.model);
  if (ask.call.method === "models.list") {
    return { promise: of[method](options) };
  }
  return { promise: of[method](ask.call.method === "models.retrieve" ? ask.model : params, options) };
}

async function values(ask, seen) {
  const { promise } = await begin(ask);
  const { data, response } = await promise.withResponse();
  seen.requestId = response.headers.get("x-request-id");
  if (data instanceof Response) {
    seen.pieces.push(comparable(Buffer.from(await data.arrayBuffer()).toString("latin1")));
  } else if (ask.call.params.stream) {
    for await (const event of data) {
      seen.pieces.push(comparable(JSON.stringify(event)));
    }
  } else {
    seen.pieces.push(comparable(JSON.stringify(data.data && ask.call.method === "models.list" ? data.data : data)));
  }
}

async function bytes(ask, seen) {
  const { promise } = await begin(ask);
  const response = await promise.asResponse();
  seen.requestId = response.headers.get("x-request-id");
  seen.head = headOf(response.status, response.headers);
  const came = [];
  const reader = response.body.getReader();
  // The SDK's own signal ends with the head; whoever reads the body himself gives it up himself.
  ask.signal?.addEventListener("abort", () => reader.cancel().catch(() => {}));
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      came.push(Buffer.from(read.value));
    }
  } finally {
    seen.pieces.push(comparable(Buffer.concat(came).toString("latin1")));
  }
}

async function watch(ask) {
  const seen = { pieces: [], error: null, head: null, requestId: null };
  try {
    await (ask.kind === "value" ? values : bytes)(ask, seen);
  } catch (error) {
    seen.error = errorOf(error);
    seen.requestId ??= error.requestID ?? null;
    seen.thrown = error;
  }
  seen.aborted = ask.signal?.aborted ?? false;
  return seen;
}

const text = (value) => JSON.stringify(value, (name, of) => (name === "thrown" ? undefined : of));

// Whether one of two lists of pieces is the beginning of the other, the last piece in part.
function begins(one, other) {
  const [ours, theirs] = [one.join(""), other.join("")];
  return ours.startsWith(theirs) || theirs.startsWith(ours);
}

function namesWithin(through, direct) {
  const [ours, theirs] = [through, direct].map((seen) =>
    new Set([...seen.pieces.join("").matchAll(/"id": ?"([^"]+)"/g)].map((match) => match[1])));
  return ours.size > 0 && [...ours].every((name) => theirs.has(name));
}

// Whether the direct call came to the end that its case is about: two calls that fail alike for another reason prove nothing.
function hasCome(ends, direct) {
  if (ends === "whole") {
    return direct.error === null && direct.pieces.join("") !== "";
  }
  return ends === "broken" ? isBroken(direct) : direct.error?.status === ends;
}

// A stream that its app's signal has ended just ends.
function isBroken(seen) {
  return seen.aborted || seen.error?.type === "APIConnectionError"
    || seen.error?.type === "TypeError" && seen.error.message === "terminated";
}

// Why a cell is not as it should be; null where it is.
function fault({ sees, ends }, call, through, direct) {
  if (typeof sees === "object") {
    const error = through.error ?? {};
    // The runtime's own error where the body breaks off: the SDK hands it on as it is.
    const kind = through.thrown instanceof openai[sees.error]
      || sees.error === "APIConnectionError" && isBroken(through);
    const same = kind && (error.status ?? null) === sees.status && (error.code ?? null) === sees.code;
    return same ? null : `wanted ${text(sees)}, saw ${text(through)}`;
  }
  if (!hasCome(ends, direct)) {
    return `the direct call did not end as ordered: ${text(direct)}`;
  }
  if (call.own) {
    return through.error === null && namesWithin(through, direct) ? null : `${text(through)}\n${text(direct)}`;
  }
  const samePieces = sees === "prefix" ? begins(through.pieces, direct.pieces) : text(through.pieces) === text(direct.pieces);
  const sameHead = text(through.head) === text(direct.head) || (sees === "prefix" && !(through.head && direct.head));
  const same = samePieces && sameHead && text(through.error) === text(direct.error);
  return same ? null : `\n  through ${text(through)}\n  direct  ${text(direct)}`;
}

function askOf({ client, call, case: of, number }, kind, base) {
  const order = [call.order, of.order].filter(Boolean).join(",");
  const nonce = `${client.name}/${number}/${kind}`.replaceAll(" ", "-");
  return {
    client, call, base, kind, nonce,
    model: call.model && client.prefix + (of.model ?? call.model),
    key: base === GATEWAY && of.key ? "tg-nobody" : API_KEY,
    headers: { "x-client-request-id": nonce, "x-stainless-sim": order },
    patienceMs: of.patience_ms,
  };
}

// Makes each call twice, through the gateway and directly, and prints a line for the former.
async function run(cell) {
  const compared = typeof cell.case.sees !== "object";
  for (const kind of compared && !cell.call.own ? ["value", "bytes"] : ["value"]) {
    const through = askOf(cell, kind, GATEWAY);
    const direct = compared ? await watch(askOf(cell, kind, PROVIDER)) : null;
    const seen = await watch(through);
    console.log(JSON.stringify({
      client: cell.client.name, call: cell.call.name, case: cell.case.name, kind, nonce: through.nonce,
      model: through.model, request_id: seen.requestId, fault: fault(cell.case, cell.call, seen, direct),
    }));
  }
}

function isExcused(client, call, of) {
  const has = (list, name) => !list || list.includes(name);
  return TABLE.not_run.some((rule) => has(rule.clients, client.name) && has(rule.apis, call.api)
    && has(rule.calls, call.name) && has(rule.cases, of.name));
}

const cells = CLIENTS.flatMap((client) => TABLE.calls.flatMap((call) => TABLE.cases
  .filter((of) => !isExcused(client, call, of))
  .map((of) => ({ client, call, case: of }))));
cells.forEach((cell, number) => { cell.number = number; });
// The ones that wait first.
cells.sort((one, other) => other.case.order.includes("stall") - one.case.order.includes("stall"));
let next = 0;
await Promise.all(Array.from({ length: CELLS_AT_ONCE }, async () => {
  while (next < cells.length) {
    await run(cells[next++]);
  }
}));
