import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Metadata, Server, ServerCredentials, type ServiceError, status } from "@grpc/grpc-js";
import { RetryInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../src/gen/google/rpc/status_pb.js";
import { Client, NearHashError, Overloaded } from "../src/index.js";

// A server that fails as told: what a healthy NearHash server does not do on demand.
const server = new Server();
const seen: Metadata[] = [];
let failure: Partial<ServiceError> = {};
let client: Client;
let token = "first";

before(async () => {
  server.addService(
    {
      Lookup: {
        path: "/nearhash.v1.LookupService/Lookup",
        requestStream: false,
        responseStream: false,
        requestSerialize: (bytes: Buffer) => bytes,
        requestDeserialize: (bytes: Buffer) => bytes,
        responseSerialize: (bytes: Buffer) => bytes,
        responseDeserialize: (bytes: Buffer) => bytes,
      },
    },
    {
      Lookup: (call: { metadata: Metadata }, answer: (error: Partial<ServiceError>) => void) => {
        seen.push(call.metadata);
        answer(failure);
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  client = new Client(`127.0.0.1:${port}`, { token: () => token });
});

after(() => {
  client.close();
  server.forceShutdown();
});

async function failedWith(told: Partial<ServiceError>): Promise<NearHashError> {
  failure = told;
  seen.length = 0;
  try {
    await client.lookup(["0123456789abcdef"], { timeoutMs: 20_000 });
  } catch (error) {
    assert.ok(error instanceof NearHashError);
    return error;
  }
  assert.fail("the lookup did not fail");
}

test("every status has its error, and those of a worker that cannot answer are tried again", async () => {
  const expected: [status, string][] = [
    [status.INVALID_ARGUMENT, "InvalidRequest"],
    [status.NOT_FOUND, "NotFound"],
    [status.ALREADY_EXISTS, "AlreadyExists"],
    [status.FAILED_PRECONDITION, "FailedPrecondition"],
    [status.DEADLINE_EXCEEDED, "DeadlineExceeded"],
    [status.RESOURCE_EXHAUSTED, "Overloaded"],
    [status.PERMISSION_DENIED, "PermissionDenied"],
    [status.UNAUTHENTICATED, "Unauthenticated"],
    [status.INTERNAL, "ServerError"],
  ];
  for (const [code, name] of expected) {
    const error = await failedWith({ code, details: "because" });
    assert.equal(error.name, name);
    assert.match(error.message, /because$/);
    assert.equal(seen.length, 1, name);
  }
  for (const [code, name] of [
    [status.UNAVAILABLE, "Unavailable"],
    [status.CANCELLED, "ServerError"],
  ] as const) {
    assert.equal((await failedWith({ code, details: "because" })).name, name);
    assert.equal(seen.length, 5, name);
  }
});

test("an overloaded server says how long to wait", async () => {
  const delay = create(RetryInfoSchema, { retryDelay: { seconds: 1n, nanos: 250_000_000 } });
  const details = [anyPack(RetryInfoSchema, delay)];
  const metadata = new Metadata();
  const told = create(StatusSchema, { code: status.RESOURCE_EXHAUSTED, message: "busy", details });
  metadata.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, told)));
  const error = await failedWith({ code: status.RESOURCE_EXHAUSTED, details: "busy", metadata });
  assert.ok(error instanceof Overloaded);
  assert.equal(error.retryAfterMs, 1250);

  metadata.set("grpc-status-details-bin", Buffer.from("rewritten by a proxy"));
  const without = await failedWith({ code: status.RESOURCE_EXHAUSTED, details: "busy", metadata });
  assert.ok(without instanceof Overloaded);
  assert.equal(without.retryAfterMs, undefined);
});

test("a stream waits for an overloaded server, as long as it has time", async () => {
  const delay = create(RetryInfoSchema, { retryDelay: { seconds: 0n, nanos: 20_000_000 } });
  const metadata = new Metadata();
  const told = create(StatusSchema, { message: "busy", details: [anyPack(RetryInfoSchema, delay)] });
  metadata.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, told)));
  failure = { code: status.RESOURCE_EXHAUSTED, details: "busy", metadata };
  seen.length = 0;
  const answers = client.lookupMany(["0123456789abcdef"], { timeoutMs: 1000 });
  // Which of the two depends on where the time ends: between two calls, or in one.
  await assert.rejects(answers.next(), { name: /^(Overloaded|DeadlineExceeded)$/ });
  assert.ok(seen.length >= 3 && seen.length <= 50, `${seen.length} calls`);

  const abort = new AbortController();
  setTimeout(() => abort.abort(), 50);
  const aborted = client.lookupMany(["0123456789abcdef"], { signal: abort.signal });
  await assert.rejects(aborted.next(), { name: "AbortError" });
});

test("each call carries the token of its time", async () => {
  await failedWith({ code: status.NOT_FOUND });
  assert.deepEqual(seen[0]?.get("authorization"), ["Bearer first"]);
  token = "second";
  await failedWith({ code: status.NOT_FOUND });
  assert.deepEqual(seen[0]?.get("authorization"), ["Bearer second"]);
});
