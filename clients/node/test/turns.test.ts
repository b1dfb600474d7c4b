import assert from "node:assert/strict";
import { test } from "node:test";
import { Deadline } from "../src/deadline.js";
import { DeadlineExceeded } from "../src/index.js";
import { Turns } from "../src/turns.js";

const NEVER = new Deadline(undefined);

test("so many are under way, in the order in which they came", async () => {
  const turns = new Turns(2);
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const call = (number: number) => () => {
    begun.push(number);
    return new Promise<number>((resolve) => ends.push(() => resolve(number)));
  };
  const calls = [0, 1, 2, 3].map((number) => turns.run(call(number), NEVER, undefined));
  await settled();
  assert.deepEqual(begun, [0, 1]);
  ends[1]?.();
  await settled();
  assert.deepEqual(begun, [0, 1, 2]);
  for (let i = 0; i < 4; i += 1) {
    ends[i]?.();
    await settled();
  }
  assert.deepEqual(await Promise.all(calls), [0, 1, 2, 3]);
});

test("a turn passes on after a failure, too", async () => {
  const turns = new Turns(1);
  const failing = turns.run(() => Promise.reject(new Error("broken")), NEVER, undefined);
  const next = turns.run(() => Promise.resolve("answer"), NEVER, undefined);
  await assert.rejects(failing, { message: "broken" });
  assert.equal(await next, "answer");
  assert.equal(await turns.run(() => Promise.resolve("again"), NEVER, undefined), "again");
});

test("a deadline and an abort end the wait, and take no turn", async () => {
  const turns = new Turns(1);
  let end = () => {};
  const first = turns.run(() => new Promise<void>((resolve) => (end = resolve)), NEVER, undefined);
  const unreachable = () => Promise.reject(new Error("it had no turn"));
  await assert.rejects(turns.run(unreachable, new Deadline(20), undefined), DeadlineExceeded);
  const abort = new AbortController();
  const aborted = turns.run(unreachable, new Deadline(60 * 86_400_000), abort.signal);
  abort.abort(new Error("changed my mind"));
  await assert.rejects(aborted, { message: "changed my mind" });
  await assert.rejects(turns.run(unreachable, NEVER, abort.signal), { message: "changed my mind" });
  const next = turns.run(() => Promise.resolve("answer"), NEVER, undefined);
  end();
  await first;
  assert.equal(await next, "answer");
});

/** Waits until promises that can go on have done so. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
