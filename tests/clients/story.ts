// A client of the API in TypeScript, typed by what openapi-typescript generates.
// story.js SITE KEY INSTANCE RECEIVER prints what it has found as JSON. story.py does the same in Python.

import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Hook = components["schemas"]["Hook"];
type MessageHook = components["schemas"]["MessageHook"];

const [site = "", key = "", id = "", receiver = ""] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: site, headers: { Authorization: `Bearer ${key}` } });

function found<T>(data: T | undefined, error: components["schemas"]["Error"] | undefined): T {
  if (data === undefined) throw new Error(error?.error);
  return data;
}

/** Returns the delivered hook of a message. */
async function findHook(message: string, endpoint: string): Promise<Hook> {
  const until = Date.now() + 60_000;
  while (Date.now() < until) {
    const query = { message, endpoint: Number(endpoint), state: ["delivered" as const] };
    const { data, error } = await client.GET("/api/v1/hooks/", { params: { query } });
    const [hook] = found(data, error).results;
    if (hook) return hook;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`no hook of ${message}`);
}

const read = await client.GET("/api/v1/instances/{id}/", { params: { path: { id } } });
const instance = found(read.data, read.error);

const added = await client.POST("/api/v1/instances/{id}/endpoints/", {
  params: { path: { id } },
  body: { url: receiver, name: "TypeScript", filters: { families: ["message"] } },
});
const endpoint = found(added.data, added.error);
const path = { id, endpointId: endpoint.id };
const test = await client.POST("/api/v1/instances/{id}/endpoints/{endpointId}/test/", { params: { path } });
const tested = found(test.data, test.error);
const paused = await client.POST("/api/v1/instances/{id}/endpoints/{endpointId}/pause/", { params: { path } });
if (found(paused.data, paused.error).pausedAt === null) throw new Error("not paused");
const resumed = await client.POST("/api/v1/instances/{id}/endpoints/{endpointId}/resume/", { params: { path } });
if (found(resumed.data, resumed.error).pausedAt !== null) throw new Error("not resumed");

const received = await client.POST("/api/v1/instances/{id}/sandbox/messages/", {
  params: { path: { id } },
  body: { from: "17680561234", name: "Ann", body: "hello" },
});
const hook = await findHook(found(received.data, received.error).id, endpoint.id);
const event: MessageHook = JSON.parse(hook.body ?? "");
const preview = await client.POST("/api/v1/redeliveries/", {
  body: { dryRun: true, instance: id, endpoint: endpoint.id },
});
const counted = found(preview.data, preview.error);
const charted = await client.GET("/api/v1/instances/{id}/endpoints/{endpointId}/statistics/", { params: { path } });
const statistics = found(charted.data, charted.error);
const checked = await client.GET("/api/v1/instances/{id}/endpoints/{endpointId}/health/", { params: { path } });
const health = found(checked.data, checked.error);
const unknown = await client.GET("/api/v1/instances/{id}/", { params: { path: { id: "1" } } });
const removed = await client.DELETE("/api/v1/instances/{id}/endpoints/{endpointId}/", { params: { path } });

console.log(
  JSON.stringify({
    channel: instance.channel,
    tested: tested.state === "delivered",
    delivered: hook.state === "delivered",
    status: hook.attempts[0]?.answer?.status ?? null,
    text: event.messages[0]?.body,
    from_me: event.messages[0]?.fromMe,
    resendable: "count" in counted ? counted.count : null,
    counted: [statistics.counts.delivered > 0, statistics.durations.hooks],
    healthy: [health.measured, health.failure === null],
    unknown: [unknown.response.status, unknown.error?.error],
    removed: removed.response.status,
  }),
);
