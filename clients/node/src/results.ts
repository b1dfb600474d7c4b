/** What a lookup answers. Queries are positions of hashes in the batch given to `lookup`, from 0. */

import type { LookupResponse } from "./gen/nearhash/v1/lookup_pb.js";

/** What a label begins with that tells what computed an entry's hashes, with version. */
export const HASHER_LABEL = "hasher=";

/** An entry within the radius of a hash. */
export interface Match {
  readonly query: number;
  /** Hamming distance in bits. */
  readonly distance: number;
  readonly bank: string;
  readonly entryId: string;
  /** Who asserts the entry. */
  readonly source: string;
  readonly labels: readonly string[];
  /** What computed the entry's hashes, with versions, as far as its labels tell. */
  readonly hashers: readonly string[];
  /** The entry's own hash, most significant byte first; absent unless the caller may read stored hashes. */
  readonly hash?: Uint8Array;
  /** With `everyHash`: which of the entry's searched hashes of the type it is, from 0, and how many the entry has. */
  readonly hashIndex?: number;
  readonly hashCount?: number;
}

/** A hash that was not searched, because it says too little about its image. That is not "no match". */
export interface Unsearchable {
  readonly query: number;
  /** For a person: what is wrong with the hash. */
  readonly reason: string;
}

/** A hash whose matches are left out because an allowlist knows it. */
export interface Allowed {
  readonly query: number;
  /** The allowlist, and its nearest entry; all empty if the caller may not look up in that bank. */
  readonly bank: string;
  readonly entryId: string;
  readonly source: string;
}

/**
 * The answer to one lookup.
 *
 * A batch sent in several calls may be answered by several generations while a new one is published; `generation` and
 * `sequence` are then the lowest.
 */
export interface LookupResult {
  readonly generation: bigint;
  /** Every change up to this sequence is in the answer. */
  readonly sequence: bigint;
  /** Sorted by query, distance, bank and entry id. Hashes without a match do not appear. */
  readonly matches: readonly Match[];
  readonly unsearchable: readonly Unsearchable[];
  /** Queries with more matches than the limit; the nearest are in `matches`. */
  readonly truncated: readonly number[];
  readonly allowed: readonly Allowed[];
}

/** The answer to the hashes of a stream from `firstQuery` up to, not including, `nextQuery`. */
export interface AnsweredBatch {
  readonly firstQuery: number;
  readonly nextQuery: number;
  /** Queries are positions in the stream. */
  readonly result: LookupResult;
}

/** Returns the result of one call whose query 0 is the lookup's query `first`. */
export function resultOf(response: LookupResponse, first: number): LookupResult {
  return {
    generation: response.generation,
    sequence: response.sequence,
    matches: response.matches.map(({ query, distance, bank, entryId, source, labels, hash, hashIndex, hashCount }) => ({
      query: first + query,
      distance,
      bank,
      entryId,
      source,
      labels,
      hashers: labels
        .filter((label) => label.startsWith(HASHER_LABEL))
        .map((label) => label.slice(HASHER_LABEL.length)),
      ...(hash.length > 0 && { hash }),
      ...(hashCount > 0 && { hashIndex, hashCount }),
    })),
    unsearchable: response.unsearchable.map(({ query, reason }) => ({ query: first + query, reason })),
    truncated: response.truncated.map((query) => first + query),
    allowed: response.allowed.map(({ query, bank, entryId, source }) => ({
      query: first + query,
      bank,
      entryId,
      source,
    })),
  };
}

/** Returns one result from those of a lookup's calls, in their order; there is at least one. */
export function merge(results: readonly LookupResult[]): LookupResult {
  return {
    generation: lowest(results.map(({ generation }) => generation)),
    sequence: lowest(results.map(({ sequence }) => sequence)),
    matches: results.flatMap(({ matches }) => matches),
    unsearchable: results.flatMap(({ unsearchable }) => unsearchable),
    truncated: results.flatMap(({ truncated }) => truncated),
    allowed: results.flatMap(({ allowed }) => allowed),
  };
}

function lowest(numbers: readonly bigint[]): bigint {
  // biome-ignore lint/complexity/useMathMinMax: it takes no bigints.
  return numbers.reduce((a, b) => (b < a ? b : a));
}
