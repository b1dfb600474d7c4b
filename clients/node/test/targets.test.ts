import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "../src/index.js";
import { isOnThisMachine, targetName } from "../src/targets.js";

test("one name stays as it is, several addresses become one name", () => {
  assert.equal(targetName("dns:///host:1"), "dns:///host:1");
  assert.equal(targetName(["host:1"]), "host:1");
  assert.equal(targetName(["10.0.0.1:1", "10.0.0.2:2"]), "ipv4:10.0.0.1:1,10.0.0.2:2");
  assert.equal(targetName(["[::1]:1", "[::2]:2"]), "ipv6:[::1]:1,[::2]:2");
});

test("names that are none are refused by their position", () => {
  assert.throws(() => targetName([]), /^InvalidRequest: target: found none/);
  assert.throws(() => targetName(""), /target: found none/);
  assert.throws(() => targetName(["10.0.0.1:1", "[::1]:1"]), /together/);
  assert.throws(() => targetName(["10.0.0.1:1", "host:1"]), /target\[1\]: found "host:1"/);
  assert.throws(() => targetName(["10.0.0.1", "10.0.0.2:1"]), /target\[0\]: /);
});

test("loopback and sockets are on this machine, and nothing else", () => {
  for (const name of [
    "localhost:1",
    "127.0.0.1:1",
    "[::1]:1",
    "unix:/a",
    "dns:///localhost:1",
    "ipv4:127.0.0.1:1,127.1.2.3:1",
  ]) {
    assert.ok(isOnThisMachine(name), name);
  }
  for (const name of [
    "host:1",
    "10.0.0.1:1",
    "127.evil.example:1",
    "ipv4:127.0.0.1:1,10.0.0.1:1",
    "dns://8.8.8.8/localhost:1",
  ]) {
    assert.ok(!isOnThisMachine(name), name);
  }
});

test("a token does not leave the machine in plain text, and is no header of its own", () => {
  assert.throws(() => new Client("host:1", { token: "secret" }), /token: found one without TLS/);
  assert.throws(
    () => new Client("localhost:1", { token: "secret\nother: header" }),
    (error: Error) => /token: found no bearer token/.test(error.message) && !error.message.includes("secret"),
  );
  new Client("localhost:1", { token: () => "secret" }).close();
  new Client("host:1", { token: "secret", tls: {} }).close();
});
