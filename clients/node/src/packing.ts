/** Hashes in the forms that JavaScript holds them in, packed into the bytes that the wire carries. */

import { invalid } from "./errors.js";
import type { HashTypeInfo } from "./hash_types.js";

/** A hash: hex digits, bytes (most significant first) or an unsigned bigint. */
export type Hash = string | Uint8Array | bigint;

const HEX_DIGITS = /^[0-9a-fA-F]*$/;

/**
 * Concatenates a batch of hashes, each most significant byte first.
 *
 * Throws `InvalidRequest` if the batch is empty or a hash is not of the type's width; it names the position, counted
 * from `first`, and does not repeat the hash.
 */
export function pack(hashes: readonly Hash[], hashType: HashTypeInfo, first = 0): Uint8Array {
  if (hashes.length === 0) {
    throw invalid("hashes", "found none; pass at least one hash");
  }
  const { widthBytes } = hashType;
  const packed = Buffer.alloc(hashes.length * widthBytes);
  for (const [i, hash] of hashes.entries()) {
    write(hash, packed.subarray(i * widthBytes, (i + 1) * widthBytes), `hashes[${first + i}]`, hashType);
  }
  return packed;
}

/** Packs one hash. Throws `InvalidRequest`, which names `field`. */
export function packOne(hash: Hash, hashType: HashTypeInfo, field: string): Uint8Array {
  const packed = Buffer.alloc(hashType.widthBytes);
  write(hash, packed, field, hashType);
  return packed;
}

function write(hash: Hash, place: Buffer, field: string, { name }: HashTypeInfo): void {
  const width = place.length;
  if (typeof hash === "string") {
    if (hash.length !== 2 * width) {
      throw invalid(field, `found ${hash.length} characters; ${name} has ${2 * width} hex digits`);
    }
    if (!HEX_DIGITS.test(hash)) {
      throw invalid(field, "found characters that are no hex digits; only 0-9, a-f and A-F are");
    }
    place.write(hash, "hex");
  } else if (typeof hash === "bigint") {
    if (hash < 0n || hash >> BigInt(8 * width) !== 0n) {
      throw invalid(field, `found a bigint that is negative or too large; ${name} has ${8 * width} bits, unsigned`);
    }
    place.write(hash.toString(16).padStart(2 * width, "0"), "hex");
  } else if (hash instanceof Uint8Array) {
    if (hash.length !== width) {
      throw invalid(field, `found ${hash.length} bytes; ${name} has ${width}`);
    }
    place.set(hash);
  } else {
    throw invalid(field, `found ${typeof hash}; pass hex digits, a Uint8Array or a bigint`);
  }
}
