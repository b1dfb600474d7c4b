/** The hash types by name, with their widths. */

import { invalid } from "./errors.js";
import { HashType } from "./gen/nearhash/v1/lookup_pb.js";

const TYPES = {
  phash64: { number: HashType.PHASH64, widthBytes: 8 },
  dhash64: { number: HashType.DHASH64, widthBytes: 8 },
  ahash64: { number: HashType.AHASH64, widthBytes: 8 },
  whash64: { number: HashType.WHASH64, widthBytes: 8 },
  pdq256: { number: HashType.PDQ256, widthBytes: 32 },
  md5: { number: HashType.MD5, widthBytes: 16 },
  sha1: { number: HashType.SHA1, widthBytes: 20 },
  sha256: { number: HashType.SHA256, widthBytes: 32 },
} as const;

/** A kind of hash, as `hashType` arguments spell it. */
export type HashTypeName = keyof typeof TYPES;

export const HASH_TYPES = Object.keys(TYPES) as readonly HashTypeName[];

/** What the wire knows of a hash type. */
export interface HashTypeInfo {
  readonly name: HashTypeName;
  /** The value of the wire's enum. */
  readonly number: HashType;
  /** The length of one packed hash. */
  readonly widthBytes: number;
}

/** Returns the hash type of that name, checked: not every caller is compiled. Throws `InvalidRequest`. */
export function findHashType(name: HashTypeName, field = "hashType"): HashTypeInfo {
  if (!Object.hasOwn(TYPES, name)) {
    throw invalid(field, `found ${JSON.stringify(name)}; it is one of ${HASH_TYPES.join(", ")}`);
  }
  return { name, ...TYPES[name] };
}

/** Returns the name of a hash type in a message; undefined for one that is newer than this client. */
export function hashTypeName(number: HashType): HashTypeName | undefined {
  return HASH_TYPES.find((name) => TYPES[name].number === number);
}
