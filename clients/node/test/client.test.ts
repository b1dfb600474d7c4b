import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import {
  AdminClient,
  Client,
  DeadlineExceeded,
  FailedPrecondition,
  InvalidRequest,
  type LookupOptions,
  type LookupResult,
  NotFound,
  ServerError,
  Unavailable,
} from "../src/index.js";
import { eventually, Server } from "./server.js";

// One bank of pHash and one of PDQ entries, entry i holding hash i.
const PHASHES = Array.from({ length: 50 }, () => randomBytes(8));
const PDQS = Array.from({ length: 50 }, () => randomBytes(32));

let server: Server;
let client: Client;
let admin: AdminClient;
let sequence: bigint;

before(async () => {
  server = await Server.start();
  client = new Client(server.target);
  admin = new AdminClient(server.target);
  await admin.createBank("photos", { radii: { phash64: 6 } });
  await admin.createBank("others");
  const changes = PHASHES.map((value, i) => ({
    upsert: {
      entryId: `photo-${i}`,
      source: "local",
      hashes: [{ hashType: "phash64", value } as const],
      labels: ["reviewed", "münchen"],
      hashers: ["ImageHash 4.3.2"],
    },
  }));
  await admin.applyChanges("photos", changes);
  const others = PDQS.map((value, i) => ({
    upsert: { entryId: `pdq-${i}`, source: "ncmec", hashes: [{ hashType: "pdq256", value } as const] },
  }));
  sequence = (await admin.applyChanges("others", others)).sequence;
  await admin.publish();
  // Every answer below must include the entries.
  await client.lookup(["0123456789abcdef"], { minSequence: 0n, timeoutMs: 20_000 });
});

after(async () => {
  client.close();
  admin.close();
  await server.stop();
});

test("entries within the radius are found, with what the server knows of them", async () => {
  const result = await client.lookup([flipped(at(PHASHES, 7), 5), flipped(at(PHASHES, 8), 7)], {
    hashType: "phash64",
    timeoutMs: 10_000,
  });
  assert.deepEqual(result.matches, [
    {
      query: 0,
      distance: 5,
      bank: "photos",
      entryId: "photo-7",
      source: "local",
      labels: ["reviewed", "münchen", "hasher=ImageHash 4.3.2"],
      hashers: ["ImageHash 4.3.2"],
    },
  ]);
  assert.equal(result.generation, 1n);
  assert.ok(result.sequence >= sequence);
});

test("radius, banks and hash type apply", async () => {
  const pdq = flipped(at(PDQS, 3), 20);
  assert.deepEqual(found(await client.lookup([pdq], { hashType: "pdq256" })), ["0 others/pdq-3 20"]);
  assert.deepEqual(found(await client.lookup([pdq], { hashType: "pdq256", radius: 19 })), []);
  assert.deepEqual(found(await client.lookup([pdq], { hashType: "pdq256", banks: ["photos"] })), []);
});

test("every hash of a video is answered on demand, with its place", async () => {
  const frames = [at(PDQS, 0), flipped(at(PDQS, 0), 3), randomBytes(32)];
  await admin.createBank("videos");
  const hashes = frames.map((value) => ({ hashType: "pdq256", value }) as const);
  const { sequence } = await admin.applyChanges("videos", [{ upsert: { entryId: "video", source: "local", hashes } }]);
  const options = { hashType: "pdq256", banks: ["videos"], minSequence: sequence } as const;
  const every = await eventually(async () => {
    try {
      return await client.lookup(frames.slice(0, 1), { ...options, everyHash: true });
    } catch (error) {
      assert.ok(error instanceof FailedPrecondition);
      return undefined;
    }
  });
  assert.deepEqual(
    every.matches.map(({ distance, hashCount }) => [distance, hashCount]),
    [
      [0, 3],
      [3, 3],
    ],
  );
  assert.equal(new Set(every.matches.map(({ hashIndex }) => hashIndex)).size, 2);
  const nearest = await client.lookup(frames.slice(0, 1), options);
  assert.deepEqual(
    nearest.matches.map(({ distance, hashCount }) => [distance, hashCount]),
    [[0, undefined]],
  );
});

test("a batch of several calls is one answer, with queries numbered over the whole", async () => {
  const small = new Client(server.target, { maxBatch: 7 });
  const hashes = [...PHASHES.map((hash) => flipped(hash, 2)), "8000000000000000"];
  const result = await small.lookup(hashes);
  assert.deepEqual(
    found(result),
    PHASHES.map((_, i) => `${i} photos/photo-${i} 2`),
  );
  assert.deepEqual(
    result.unsearchable.map(({ query }) => query),
    [50],
  );
  assert.deepEqual(await client.lookup(hashes), result);
  small.close();
});

test("a stream is answered in order, with bounded reading ahead", async () => {
  const small = new Client(server.target, { maxBatch: 10 });
  let read = 0;
  async function* stream() {
    for (const hash of PHASHES) {
      read += 1;
      yield hash;
    }
  }
  const lines: string[] = [];
  let calls = 0;
  for await (const answered of small.lookupMany(stream(), { concurrency: 2, timeoutMs: 10_000, firstQuery: 1000 })) {
    const { firstQuery, nextQuery, result } = answered;
    assert.deepEqual([firstQuery, nextQuery], [1000 + 10 * calls, 1010 + 10 * calls]);
    calls += 1;
    assert.ok(read <= 10 * (calls + 1), `${read} hashes were read for ${calls} answers`);
    lines.push(...found(result));
  }
  assert.equal(calls, 5);
  assert.deepEqual(
    lines,
    PHASHES.map((_, i) => `${1000 + i} photos/photo-${i} 0`),
  );
  await assert.rejects(
    async () => {
      for await (const _ of small.lookupMany([...PHASHES, "short"])) {
        // The last batch is refused.
      }
    },
    { name: "InvalidRequest", message: "hashes[50]: found 5 characters; phash64 has 16 hex digits" },
  );
  small.close();
});

test("wrong arguments are refused before they are sent", async () => {
  const hash = at(PHASHES, 0);
  const wrong: [LookupOptions, string][] = [
    [{ hashType: "sha512" as "md5" }, "hashType"],
    [{ radius: 65 }, "radius"],
    [{ radius: 0.5 }, "radius"],
    [{ maxMatchesPerHash: -1 }, "maxMatchesPerHash"],
    [{ minSequence: -1n }, "minSequence"],
    [{ banks: "photos" as unknown as string[] }, "banks"],
    [{ timeoutMs: 0 }, "timeoutMs"],
  ];
  for (const [options, field] of wrong) {
    await assert.rejects(client.lookup([hash], options), (error) => {
      assert.ok(error instanceof InvalidRequest);
      assert.equal(error.violations[0]?.field, field);
      return true;
    });
  }
  await assert.rejects(client.lookup("0123456789abcdef"), {
    message: "hashes: found one hash; pass an iterable, [hash]",
  });
  assert.throws(() => new Client(server.target, { maxBatch: 0 }), { name: "InvalidRequest" });
});

test("the server's refusals are typed, and name the field", async () => {
  const hash = at(PHASHES, 0);
  await assert.rejects(client.lookup([hash], { banks: ["nowhere"] }), NotFound);
  await assert.rejects(client.lookup([hash], { minSequence: 10n ** 9n }), FailedPrecondition);
  await assert.rejects(client.lookup([hash], { maxMatchesPerHash: 10 ** 6 }), (error) => {
    assert.ok(error instanceof InvalidRequest);
    assert.equal(error.violations[0]?.field, "max_matches_per_hash");
    assert.ok(error.cause instanceof Error);
    return true;
  });
  const oversized = new Client(server.target, { maxBatch: 100_000 });
  await assert.rejects(oversized.lookup(Array(20_000).fill(hash)), InvalidRequest);
  oversized.close();
});

test("a deadline and an abort end a call", async () => {
  const many = Array(20_000).fill(at(PHASHES, 0));
  await assert.rejects(client.lookup(many, { timeoutMs: 1 }), DeadlineExceeded);
  await assert.rejects(client.lookup(many, { signal: AbortSignal.abort(new Error("changed my mind")) }), {
    message: "changed my mind",
  });
  const abort = new AbortController();
  const call = client.lookup(many, { signal: abort.signal });
  setImmediate(() => abort.abort(new Error("too late")));
  await assert.rejects(call, { message: "too late" });
});

test("thousands of lookups at once are all answered", async () => {
  const calls = Array.from({ length: 3000 }, () => client.lookup([at(PHASHES, 0)], { timeoutMs: 60_000 }));
  for (const result of await Promise.all(calls)) {
    assert.notEqual(result.matches.length, 0);
  }
});

test("where nobody listens is Unavailable, after the retries", async () => {
  const nobody = new Client("127.0.0.1:1");
  const start = Date.now();
  await assert.rejects(nobody.lookup([at(PHASHES, 0)], { timeoutMs: 20_000 }), Unavailable);
  assert.ok(Date.now() - start > 100, "it was not tried again");
  await assert.rejects(nobody.ready(50), { message: "no connection to 127.0.0.1:1 within 50 ms" });
  nobody.close();
  await client.ready(5000);
});

test("an answer that is no answer of ours is a ServerError", async () => {
  // A method that the server lacks: UNIMPLEMENTED has no type of its own.
  const { Channel } = await import("../src/channel.js");
  const { Deadline } = await import("../src/deadline.js");
  const { LookupService } = await import("../src/gen/nearhash/v1/lookup_pb.js");
  const channel = new Channel(server.target, {});
  const method = { ...LookupService.method.lookup, name: "Nothing" };
  await assert.rejects(channel.call(method, {}, { deadline: new Deadline(undefined) }), (error) => {
    assert.ok(error instanceof ServerError);
    assert.match(error.message, /^UNIMPLEMENTED: /);
    return true;
  });
  channel.close();
});

function at<T>(items: readonly T[], position: number): T {
  const item = items[position];
  assert.ok(item !== undefined);
  return item;
}

/** Flips a bit in each of the first bytes. */
function flipped(hash: Buffer, distance: number): Buffer {
  const changed = Buffer.from(hash);
  for (let bit = 0; bit < distance; bit += 1) {
    changed.writeUInt8(changed.readUInt8(bit) ^ 0x10, bit);
  }
  return changed;
}

function found(result: LookupResult): string[] {
  return result.matches.map(({ query, bank, entryId, distance }) => `${query} ${bank}/${entryId} ${distance}`);
}
