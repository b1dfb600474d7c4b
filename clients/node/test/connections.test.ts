import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { AdminClient, Client, NearHashError, PermissionDenied, tlsFromFiles, Unauthenticated } from "../src/index.js";
import { certificates, eventually, Server } from "./server.js";

const HASH = "0123456789abcdef";

test("calls go round robin over servers, and on when one ends", async (context) => {
  const servers = await Promise.all([Server.start(), Server.start()]);
  context.after(() => Promise.all(servers.map((server) => server.stop())));
  const ids: number[] = [];
  for (const { target } of servers) {
    const admin = new AdminClient(target);
    await admin.createBank("bank");
    await admin.publish();
    ids.push((await admin.status()).worker?.processId ?? 0);
    admin.close();
  }
  const both = servers.map(({ target }) => target);
  const admin = new AdminClient(both);
  const client = new Client(both);
  const answered: number[] = [];
  // Until both are connected, calls go to the first that is.
  await eventually(async () => {
    answered.push((await admin.status()).worker?.processId ?? 0);
    return ids.every((id) => answered.includes(id)) ? true : undefined;
  });
  answered.length = 0;
  for (let i = 0; i < 10; i += 1) {
    answered.push((await admin.status()).worker?.processId ?? 0);
  }
  for (const id of ids) {
    assert.equal(answered.filter((other) => other === id).length, 5);
  }
  const calls: Promise<unknown>[] = [];
  const stopped = servers[0]?.stop();
  for (let i = 0; i < 50; i += 1) {
    calls.push(client.lookup([HASH], { timeoutMs: 20_000 }));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await Promise.all(calls);
  await stopped;
  await client.lookup([HASH], { timeoutMs: 20_000 });
  admin.close();
  client.close();
});

test("a server that does not serve yet fails no call while another does", async (context) => {
  const servers = await Promise.all([Server.start(), Server.start()]);
  context.after(() => Promise.all(servers.map((server) => server.stop())));
  const admin = new AdminClient(servers[1]?.target ?? "");
  await admin.createBank("bank");
  await admin.publish();
  admin.close();
  const client = new Client(servers.map(({ target }) => target));
  for (let i = 0; i < 20; i += 1) {
    assert.equal((await client.lookup([HASH], { timeoutMs: 20_000 })).generation, 1n);
  }
  client.close();
});

test("TLS and mTLS let in whom they should, and nobody else", async (context) => {
  const folder = certificates("server", "client");
  context.after(() => rmSync(folder, { recursive: true }));
  const file = (name: string) => join(folder, name);
  const server = await Server.start(
    ...["--tls-certificate", file("server.pem"), "--tls-key", file("server.key")],
    ...["--tls-client-ca", file("authority.pem")],
  );
  context.after(() => server.stop());
  const ca = { rootCertificates: file("authority.pem") };
  const own = { privateKey: file("client.key"), certificateChain: file("client.pem") };
  const serverName = "localhost";
  const workers = async (paths: Parameters<typeof tlsFromFiles>[0], timeoutMs: number) => {
    const admin = new AdminClient(server.target, { tls: await tlsFromFiles(paths) });
    try {
      return (await admin.status({ timeoutMs })).workers.length;
    } finally {
      admin.close();
    }
  };
  assert.equal(await workers({ ...ca, ...own, serverName }, 10_000), 1);
  for (const wrong of [
    { ...ca, serverName },
    { ...own, serverName },
    { ...ca, ...own, serverName: "elsewhere" },
  ]) {
    await assert.rejects(workers(wrong, 300), NearHashError);
  }
  const plain = new AdminClient(server.target);
  await assert.rejects(plain.status({ timeoutMs: 300 }), NearHashError);
  plain.close();
  assert.throws(() => new Client(server.target, { tls: { privateKey: Buffer.from("key") } }), {
    message: "tls.certificateChain: found none; the private key and its certificate chain go together",
  });
});

test("a token tells who calls, and what they may do", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "nearhash-node-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const callers = (["lookup", "admin"] as const).map((role) => {
    const digest = createHash("sha256").update(`${role}-token`).digest("hex");
    return `[[callers]]\nname = "${role}"\nroles = ["${role}"]\ntoken_sha256 = ["${digest}"]\n`;
  });
  writeFileSync(join(folder, "nearhash.toml"), callers.join("\n"));
  const server = await Server.start("--config", join(folder, "nearhash.toml"));
  context.after(() => server.stop());
  const admin = new AdminClient(server.target, { token: "admin-token" });
  await admin.createBank("bank");
  await admin.publish();
  const client = new Client(server.target, { token: () => "lookup-token" });
  await eventually(async () => ((await client.lookup([HASH])).generation === 1n ? true : undefined));
  const [record] = await admin.listAudit();
  assert.equal(record?.author?.actor, "admin");

  const wrong = new AdminClient(server.target, { token: "lookup-token" });
  await assert.rejects(wrong.status(), PermissionDenied);
  const nobody = new Client(server.target);
  await assert.rejects(nobody.lookup([HASH]), Unauthenticated);
  for (const each of [admin, client, wrong, nobody]) {
    each.close();
  }
});
