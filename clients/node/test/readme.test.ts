import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { AdminClient, Client } from "../src/index.js";
import { eventually, Server } from "./server.js";

const README = new URL("../../README.md", import.meta.url);
// Beside what is built, from where Node finds the package by its name.
const EXAMPLE = fileURLToPath(new URL("../readme-example.mjs", import.meta.url));

let server: Server;

before(async () => {
  server = await Server.start();
  const admin = new AdminClient(server.target);
  await admin.createBank("photographs");
  const hashes = [{ hashType: "phash64", value: "b15fe6465121175e" }] as const;
  const cat = { entryId: "chelsea", source: "local", hashes, labels: ["photograph"] };
  await admin.applyChanges("photographs", [{ upsert: cat }]);
  await admin.publish();
  admin.close();
});

after(async () => {
  rmSync(EXAMPLE, { force: true });
  await server.stop();
});

test("the example of the README finds the cat", async () => {
  const client = new Client(server.target);
  await eventually(async () => {
    const { matches } = await client.lookup(["b15fe6465121175e"], { timeoutMs: 20_000 });
    return matches[0];
  });
  client.close();
  const [, example] = /```ts\n(.*?)```/s.exec(readFileSync(README, "utf8")) ?? [];
  assert.ok(example);
  writeFileSync(EXAMPLE, example.replace("127.0.0.1:50051", server.target));
  const printed = execFileSync(process.execPath, [EXAMPLE], { encoding: "utf8", timeout: 20_000 });
  assert.equal(printed, "photographs chelsea 0 [ 'photograph' ]\n");
});
