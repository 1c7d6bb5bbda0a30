// A daemon for the tests, which answers as each test tells it.

import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createRawServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";

import { TCIClient, type ClientOptions } from "../src/index.js";

/** What arrived. */
export interface Arrived {
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** Answers a request; `number` counts requests from 1. */
export type Handler = (request: Arrived, response: ServerResponse, number: number) => void | Promise<void>;

/** The two ways to a daemon. */
export const WAYS = ["unix", "tcp"] as const;
export type Way = (typeof WAYS)[number];

/** A server on a Unix socket or a port of its own, and its base URL. */
export interface Listening {
  readonly baseUrl: string;
  /** Stops listening and breaks all connections; `listen` begins anew at the same place. */
  stop(): Promise<void>;
  listen(): Promise<void>;
}

/** A fake daemon, and what arrived at it. */
export interface FakeDaemon extends Listening {
  readonly arrived: Arrived[];
  readonly client: TCIClient;
  /** How many connections are open. */
  open(): number;
  /** How many requests are being answered, on connections that are open. */
  answering(): number;
}

/** A test over both ways. */
export function bothWays(name: string, body: (t: TestContext, way: Way) => Promise<void>): void {
  for (const way of WAYS) test(`${name} (${way})`, (t) => body(t, way));
}

/** Starts a fake daemon, which ends with the test. */
export async function fakeDaemon(
  t: TestContext,
  way: Way,
  handler: Handler,
  options: ClientOptions = {},
): Promise<FakeDaemon> {
  const arrived: Arrived[] = [];
  let answering = 0;
  const server = createServer((request, response) => {
    answering += 1;
    response.on("close", () => (answering -= 1));
    void (async () => {
      const chunks: Buffer[] = [];
      try {
        for await (const chunk of request) chunks.push(chunk as Buffer);
      } catch {
        return; // the client went away
      }
      const body = Buffer.concat(chunks).toString("latin1");
      const one = { method: request.method ?? "", target: request.url ?? "", headers: request.headers, body };
      arrived.push(one);
      await handler(one, response, arrived.length);
    })();
  });
  const listening = await listen(t, server, way);
  const client = new TCIClient({ apiKey: "key", baseUrl: listening.baseUrl, ...options });
  t.after(() => {
    client.close();
  });
  return { ...listening, arrived, client, open: () => listening.sockets.size, answering: () => answering };
}

/** Starts a server that hears and says bytes. */
export async function rawServer(
  t: TestContext,
  way: Way,
  handle: (socket: Socket) => void,
): Promise<Listening> {
  const server = createRawServer((socket) => {
    socket.on("error", () => undefined);
    handle(socket);
  });
  return listen(t, server, way);
}

async function listen(
  t: TestContext,
  server: Server | ReturnType<typeof createRawServer>,
  way: Way,
): Promise<Listening & { sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  let place: string | number = 0;
  if (way === "unix") {
    const folder = mkdtempSync(join(tmpdir(), "tci-"));
    t.after(() => {
      rmSync(folder, { recursive: true, force: true });
    });
    place = join(folder, "s");
  }
  const begin = async (): Promise<void> => {
    if (typeof place === "string") server.listen(place);
    else server.listen(place, "127.0.0.1");
    await once(server, "listening");
    if (typeof place === "number") place = (server.address() as AddressInfo).port;
  };
  const stop = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    await closed;
  };
  await begin();
  t.after(stop);
  const baseUrl = typeof place === "string" ? `unix://${place}` : `http://127.0.0.1:${String(place)}`;
  return { baseUrl, listen: begin, stop, sockets };
}

/** Answers with JSON. */
export function answer(
  response: ServerResponse,
  body: unknown,
  status = 200,
  headers: Record<string, string> = {},
): void {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  response.writeHead(status, { "Content-Type": "application/json", ...headers });
  response.end(text);
}

/** Answers with an error as the daemon tells it. */
export function refuse(
  response: ServerResponse,
  status: number,
  code: string,
  headers: Record<string, string> = {},
): void {
  const error = { message: "a message", type: "t", param: "p", code, request_id: "r" };
  answer(response, { error }, status, { "X-Request-Id": "req_1", ...headers });
}

/** A session as the daemon tells it. */
export const SESSION = {
  id: "ses_1",
  object: "session",
  language: "python",
  state: "ready",
  created_at: "2026-01-31T12:00:00Z",
  expires_at: null,
  last_execute_at: null,
  execute_count: 0,
  metadata: {},
  resources: { memory_mb: 1024 },
  network: { mode: "none", allow: [] },
  isolation: { start: "fresh", namespaces: ["pid"], seccomp: true, cgroup: "v2", limits: ["memory"] },
  image: "default",
  image_digest: "00",
  idle_timeout: 3600,
  kernel_restarts: 0,
  sandbox: "sbx_1",
};

/** An execution as the daemon tells it. */
export const EXECUTION = {
  id: "exe_1",
  object: "execution",
  session_id: "ses_1",
  index: 1,
  status: "ok",
  queued_at: "2026-01-31T12:00:00Z",
  started_at: "2026-01-31T12:00:00Z",
  finished_at: "2026-01-31T12:00:00Z",
  idempotent_replay: false,
  receipt: {
    wall_ms: 1.5,
    queue_ms: 0,
    cpu_user_ms: 1,
    cpu_system_ms: 1,
    throttled_ms: 0,
    max_memory_bytes: 1,
    oom_kills: 0,
    max_pids: null,
    refused_forks: 0,
    max_open_files: null,
    output_bytes: 0,
    dropped_output_bytes: 0,
    displays: 0,
    dropped_displays: 0,
    workspace_bytes: 0,
    workspace_files: 1,
    limits_hit: [],
  },
  stdout: "",
  stderr: "",
  truncated: { stdout_bytes: 0, stderr_bytes: 0 },
  outputs: [],
  result: 7,
  result_repr: "7",
  result_source: "expression",
  error: null,
  state_lost: false,
  tests: [],
  reward: null,
  points: 0,
  max_points: 0,
  passed: 0,
  total: 0,
  files: [],
  files_truncated: false,
};
