import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import {
  AdminClient,
  AlreadyExists,
  type Change,
  Client,
  EntryState,
  InvalidRequest,
  NearHashError,
  NotFound,
  type TypedHash,
} from "../src/index.js";
import { eventually, Server } from "./server.js";

const HASH: TypedHash = { hashType: "phash64", value: "0123456789abcdef" };
const KEY = { entryId: "case-1", source: "local" };

let server: Server;
let admin: AdminClient;
let client: Client;

before(async () => {
  server = await Server.start();
  admin = new AdminClient(server.target);
  client = new Client(server.target);
});

after(async () => {
  admin.close();
  client.close();
  await server.stop();
});

test("a bank is created, changed and listed", async () => {
  const bank = await admin.createBank("listed", { radii: { phash64: 5, md5: 1 }, labels: ["photos"], allowlist: true });
  assert.deepEqual([bank.name, bank.enabled, bank.allowlist, bank.labels], ["listed", true, true, ["photos"]]);
  assert.deepEqual(
    bank.radii.filter(({ hashType }) => [1, 2, 6].includes(hashType)).map(({ radius }) => radius),
    [5, 8, 1],
  );
  await assert.rejects(admin.createBank("listed"), AlreadyExists);
  const updated = await admin.updateBank("listed", { radii: { phash64: 4 }, enabled: false });
  assert.deepEqual([updated.enabled, updated.radii[0]?.radius, updated.allowlist], [false, 4, true]);
  const relabelled = await admin.updateBank("listed", { labels: ["other"], allowlist: false });
  assert.deepEqual([relabelled.labels, relabelled.allowlist, relabelled.enabled], [["other"], false, false]);
  assert.ok((await admin.listBanks()).some(({ name, enabled }) => name === "listed" && !enabled));
});

test("wrong arguments name their field", async () => {
  const short: TypedHash = { hashType: "phash64", value: "0123" };
  const upsert: Change = { upsert: { ...KEY, hashes: [HASH, short] } };
  assert.throws(() => admin.applyChanges("x", [{ remove: KEY }, upsert]), {
    message: "changes[1].upsert.hashes[1].value: found 4 characters; phash64 has 16 hex digits",
  });
  await assert.rejects(admin.createBank("x", { radii: { phash64: 65 } }), {
    name: "InvalidRequest",
    message: /^radii.phash64: /,
  });
  await assert.rejects(admin.createBank("no spaces"), (error) => {
    assert.ok(error instanceof InvalidRequest);
    assert.equal(error.violations[0]?.field, "name");
    return true;
  });
  await assert.rejects(admin.applyChanges("nowhere", [{ remove: KEY }]), NotFound);
});

test("an entry is added, disabled, withdrawn, and stays so through publish, roll back and release", async () => {
  await admin.createBank("cases");
  const upsert: Change = { upsert: { ...KEY, hashes: [HASH], labels: ["a"], quality: 80 } };
  const dry = await admin.applyChanges("cases", [upsert], { dryRun: true });
  assert.deepEqual([dry.added, (await admin.applyChanges("cases", [upsert], { dryRun: true })).added], [1n, 1n]);
  const added = await admin.applyChanges("cases", [upsert], { actor: "node", reason: "a case" });
  assert.equal(added.added, 1n);
  assert.equal((await admin.applyChanges("cases", [upsert])).unchanged, 1n);

  const [diff] = (await admin.publish({ dryRun: true })).diffs;
  assert.deepEqual([diff?.bank, diff?.added], ["cases", 1n]);
  const { generation } = await admin.publish();
  assert.deepEqual([generation?.number, generation?.entryCount, generation?.current], [1n, 1n, true]);
  await matched(true);

  await admin.applyChanges("cases", [{ disable: KEY, until: new Date(Date.now() + 3_600_000) }]);
  await matched(false);
  await admin.applyChanges("cases", [{ enable: KEY }]);
  await matched(true);

  const withdrawn = await admin.withdraw("cases", KEY, { actor: "node", reason: "case withdrawn" });
  assert.equal(withdrawn.updated, 1n);
  await matched(false);
  const [known] = (await admin.getEntry("cases", KEY.entryId)).entries;
  assert.deepEqual([known?.state, known?.matched, known?.hashTypes], [EntryState.WITHDRAWN, false, []]);
  await assert.rejects(admin.getEntry("cases", "case-2"), NotFound);
  assert.equal((await admin.applyChanges("cases", [upsert])).withheld, 1n);
  await admin.publish();
  assert.deepEqual(
    (await admin.listGenerations()).map(({ number, current }) => [number, current]),
    [
      [2n, true],
      [1n, false],
    ],
  );
  assert.deepEqual((await admin.rollback(1n, { actor: "bob", reason: "a bad list" })).pinned, true);
  const [newest] = await admin.listAudit({ limit: 1 });
  assert.equal(newest?.author?.reason, "a bad list");
  await matched(false, 1n);
  assert.equal((await admin.release()).number, 2n);

  await admin.applyChanges("cases", [{ reinstate: KEY }]);
  assert.equal((await admin.applyChanges("cases", [upsert])).added, 1n);
  assert.equal((await admin.applyChanges("cases", [{ remove: KEY }])).removed, 1n);

  const audit = (await admin.listAudit({ limit: 20 })).find(({ action }) => action === "withdraw");
  assert.deepEqual(
    [audit?.author?.reason, audit?.bank, audit?.entries[0]?.entryId],
    ["case withdrawn", "cases", "case-1"],
  );
});

test("what a source stated earlier changes nothing", async () => {
  await admin.createBank("stated");
  const stated = (entryId: string, seconds: number): Change => ({
    upsert: { entryId, source: "ncmec", hashes: [HASH] },
    statedTime: new Date(seconds * 1000),
  });
  await admin.applyChanges("stated", [stated("a", 2000)]);
  const again = await admin.applyChanges("stated", [stated("b", 1000), stated("a", 1000)]);
  assert.deepEqual([again.added, again.older], [1n, [1]]);
  const withdrawal: Change = { withdraw: { entryId: "a", source: "ncmec" }, statedTime: new Date(1500 * 1000) };
  assert.deepEqual((await admin.applyChanges("stated", [withdrawal])).older, [0]);
  assert.equal((await admin.getEntry("stated", "a")).entries[0]?.statedTime?.seconds, 2000n);
});

test("quarantined hashes are listed with the reason, and released", async () => {
  await admin.createBank("aside");
  const flat: TypedHash = { hashType: "phash64", value: 2n ** 63n };
  await admin.applyChanges("aside", [{ upsert: { ...KEY, hashes: [], quarantined: [flat] } }]);
  const [entry] = await admin.listQuarantine("aside");
  assert.equal(entry?.key?.entryId, "case-1");
  assert.match(entry?.reasons[0] ?? "", /\w/);
  assert.equal((await admin.applyChanges("aside", [{ unquarantine: KEY }])).updated, 1n);
  assert.deepEqual(await admin.listQuarantine("aside"), []);
});

test("matches are estimated from a bank with enough hashes", async () => {
  await admin.createBank("large");
  const changes = Array.from({ length: 120 }, (_, i): Change => {
    return { upsert: { entryId: `${i}`, source: "local", hashes: [{ hashType: "phash64", value: randomBytes(8) }] } };
  });
  await admin.applyChanges("large", changes);
  await admin.publish();
  const estimate = await eventually(async () => {
    try {
      return await admin.estimateMatches("large", "phash64");
    } catch (error) {
      // The generation with the bank is not served yet.
      assert.ok(error instanceof NearHashError);
      return undefined;
    }
  });
  assert.equal(estimate.hashCount, 120n);
  assert.equal(estimate.estimates.length, 65);
  await assert.rejects(admin.estimateMatches("cases", "phash64"), InvalidRequest);
});

test("the status tells what is served", async () => {
  const status = await admin.status({ timeoutMs: 5000 });
  assert.equal(status.workers.length, 1);
  assert.equal(status.current?.current, true);
  assert.ok(status.banks.some(({ name }) => name === "cases"));
});

/** Waits until the entry matches, or does not, in an answer of that generation. */
async function matched(expected: boolean, generation?: bigint): Promise<void> {
  const { sequence } = await admin.status();
  await eventually(async () => {
    const result = await client.lookup([HASH.value], { banks: ["cases"] });
    const current = generation === undefined ? result.sequence >= sequence : result.generation === generation;
    return current && result.matches.length > 0 === expected ? true : undefined;
  });
}
