import assert from "node:assert/strict";
import { test } from "node:test";
import { findHashType, HASH_TYPES, hashTypeName } from "../src/hash_types.js";
import { InvalidRequest } from "../src/index.js";
import { type Hash, pack } from "../src/packing.js";

const PHASH = findHashType("phash64");
const BYTES = Uint8Array.from([0x00, 0x01, 0x7f, 0x80, 0xab, 0xcd, 0xef, 0xff]);

function refused(hashes: readonly Hash[], field: string, description: RegExp): void {
  assert.throws(
    () => pack(hashes, PHASH),
    (error) => {
      assert.ok(error instanceof InvalidRequest);
      assert.deepEqual(
        error.violations.map((violation) => violation.field),
        [field],
      );
      assert.match(error.message, description);
      return true;
    },
  );
}

test("hex digits, bytes and bigints of a hash pack alike, in order", () => {
  const forms = ["00017f80abcdefff", "00017F80ABCDEFFF", BYTES, Buffer.from(BYTES), 0x00017f80abcdefffn];
  assert.deepEqual(pack(forms, PHASH), Buffer.concat(forms.map(() => BYTES)));
  assert.deepEqual(pack([0n, 2n ** 64n - 1n], PHASH).toString(), `${"\0".repeat(8)}${Buffer.alloc(8, 255)}`);
});

test("every type has its width", () => {
  for (const name of HASH_TYPES) {
    const hashType = findHashType(name);
    const hash = Buffer.alloc(hashType.widthBytes, 0xa5);
    assert.deepEqual(
      pack([hash, hash.toString("hex"), BigInt(`0x${hash.toString("hex")}`)], hashType).length,
      3 * hash.length,
    );
    assert.equal(hashTypeName(hashType.number), name);
  }
});

test("a hash that is none is refused by its position, and not repeated", () => {
  const good = "00017f80abcdefff";
  refused([], "hashes", /found none/);
  refused([good, good.slice(1)], "hashes[1]", /found 15 characters; phash64 has 16 hex digits/);
  refused([good, good, "00017f80abcdef f"], "hashes[2]", /no hex digits/);
  refused(["0x017f80abcdefff"], "hashes[0]", /no hex digits/);
  refused(["\u0130".repeat(16)], "hashes[0]", /no hex digits/);
  refused([BYTES.subarray(1)], "hashes[0]", /found 7 bytes; phash64 has 8/);
  refused([-1n], "hashes[0]", /negative/);
  refused([2n ** 64n], "hashes[0]", /too large/);
  refused([7 as unknown as bigint], "hashes[0]", /found number; pass/);
  assert.throws(
    () => pack([`${good.slice(1)}g`], PHASH),
    (error: Error) => !error.message.includes(good.slice(1)),
  );
});

test("an unknown type is refused with those that are known", () => {
  assert.throws(() => findHashType("toString" as "md5"), /hashType: found "toString"; it is one of phash64, /);
});
