/** Arguments that are checked before anything is sent: not every caller is compiled. */

import { invalid } from "./errors.js";

/** Returns `value` if it is an integer from `lowest` to `highest`, both included; throws `InvalidRequest` otherwise. */
export function checkedInt(field: string, value: number, lowest: number, highest: number): number {
  if (!Number.isSafeInteger(value) || value < lowest || value > highest) {
    throw invalid(field, `found ${value}; it is an integer from ${lowest} to ${highest}`);
  }
  return value;
}

/** Returns `value` if it fits the wire's uint64; throws `InvalidRequest` otherwise. */
export function checkedUint64(field: string, value: bigint): bigint {
  if (typeof value !== "bigint" || BigInt.asUintN(64, value) !== value) {
    throw invalid(field, `found ${value}; it is a bigint from 0n to 2n ** 64n - 1n`);
  }
  return value;
}
