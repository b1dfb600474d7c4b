/** Looks hashes up. */

import type { MessageInitShape } from "@bufbuild/protobuf";
import { Channel, type ConnectOptions, type WaitOptions } from "./channel.js";
import { checkedInt, checkedUint64 } from "./checks.js";
import { Deadline } from "./deadline.js";
import { invalid } from "./errors.js";
import { type LookupRequestSchema, LookupService } from "./gen/nearhash/v1/lookup_pb.js";
import { findHashType, type HashTypeInfo, type HashTypeName } from "./hash_types.js";
import { type Hash, pack } from "./packing.js";
import { patiently } from "./patience.js";
import { type AnsweredBatch, type LookupResult, merge, resultOf } from "./results.js";
import type { Target } from "./targets.js";

// What a server takes in one call by default, and less.
const MAX_BATCH = 4096;

/** How to look up. */
export interface LookupOptions extends WaitOptions {
  /** The type of every hash; it cannot be inferred. Left out: `phash64`. */
  readonly hashType?: HashTypeName;
  /**
   * Inclusive bound on the distance, 0 to the type's width in bits. Left out: each bank's own radius. Above a bank's
   * radius, that bank's radius applies.
   */
  readonly radius?: number;
  /** Names of the banks to search. Left out or empty: every enabled bank that the caller may look up in. */
  readonly banks?: readonly string[];
  /** At most this many matches per hash, nearest first. Left out or 0: the server's default. */
  readonly maxMatchesPerHash?: number;
  /** Answer every hash of an entry within the radius, not the nearest alone: for videos, whose hashes are frames. */
  readonly everyHash?: boolean;
  /** Fail unless the answer includes every change up to this sequence. Left out or 0n: no demand. */
  readonly minSequence?: bigint;
}

/** How to look up a stream of hashes; `timeoutMs` is for each batch of it, and 60,000 if left out. */
export interface LookupManyOptions extends LookupOptions {
  /** Batches under way at once, at least 1. Left out: 4. */
  readonly concurrency?: number;
  /**
   * What to call the position of the first hash. To go on after an interruption, pass the last `nextQuery` and the
   * hashes from there on.
   */
  readonly firstQuery?: number;
}

type Template = Omit<MessageInitShape<typeof LookupRequestSchema>, "hashes" | "$typeName">;

/**
 * Looks hashes up on a NearHash server. One client serves a whole process.
 *
 * `target` is gRPC's name of the server: `host:port`, `dns:///host:port` or `unix:/path`; or several servers, as an
 * array. Calls go round robin over all addresses.
 */
export class Client {
  readonly #channel: Channel;
  readonly #maxBatch: number;

  /** `maxBatch`: most hashes in one call, at least 1; a server refuses more than it is configured for. */
  constructor(target: Target, { maxBatch = MAX_BATCH, ...options }: ConnectOptions & { maxBatch?: number } = {}) {
    this.#maxBatch = checkedInt("maxBatch", maxBatch, 1, 2 ** 31 - 1);
    this.#channel = new Channel(target, options);
  }

  /**
   * Returns the entries within a Hamming radius of each hash of a batch of any size, at least one.
   *
   * Rejects with a `NearHashError`: `InvalidRequest` if an argument is wrong (most are found before anything is sent),
   * `NotFound` if a bank does not exist, `FailedPrecondition` if one is disabled or `minSequence` is not reached yet,
   * `DeadlineExceeded`, `Overloaded`, `Unavailable`, and so on: see `errors.ts`.
   */
  async lookup(hashes: Iterable<Hash>, options: LookupOptions = {}): Promise<LookupResult> {
    if (typeof hashes === "string" || hashes instanceof Uint8Array) {
      throw invalid("hashes", "found one hash; pass an iterable, [hash]");
    }
    const deadline = new Deadline(options.timeoutMs);
    const hashType = findHashType(options.hashType ?? "phash64");
    const template = templateOf(options, hashType);
    const packed = pack([...hashes], hashType);
    const results: LookupResult[] = [];
    for (let first = 0; first * hashType.widthBytes < packed.length; first += this.#maxBatch) {
      const part = packed.subarray(first * hashType.widthBytes, (first + this.#maxBatch) * hashType.widthBytes);
      const request = { ...template, hashes: part };
      const response = await this.#channel.call(LookupService.method.lookup, request, { ...options, deadline });
      results.push(resultOf(response, first));
    }
    return merge(results);
  }

  /**
   * Looks up a stream of any length with bounded memory: at most `concurrency` batches are held at once.
   *
   * Yields the answers in order. A batch that finds the server overloaded or unavailable is sent again, when the server
   * asks for that, until its `timeoutMs`; any other failure ends the stream.
   */
  async *lookupMany(
    hashes: Iterable<Hash> | AsyncIterable<Hash>,
    { concurrency = 4, firstQuery = 0, timeoutMs = 60_000, ...options }: LookupManyOptions = {},
  ): AsyncGenerator<AnsweredBatch, void, undefined> {
    checkedInt("concurrency", concurrency, 1, 1000);
    const hashType = findHashType(options.hashType ?? "phash64");
    const template = templateOf(options, hashType);
    const send = async (first: number, batch: readonly Hash[]): Promise<AnsweredBatch> => {
      const request = { ...template, hashes: pack(batch, hashType, first) };
      const wait = { signal: options.signal, deadline: new Deadline(timeoutMs) };
      const call = () => this.#channel.call(LookupService.method.lookup, request, wait);
      const response = await patiently(call, wait.deadline, wait.signal);
      return { firstQuery: first, nextQuery: first + batch.length, result: resultOf(response, first) };
    };
    const underWay: Promise<AnsweredBatch>[] = [];
    let first = checkedInt("firstQuery", firstQuery, 0, Number.MAX_SAFE_INTEGER);
    for await (const batch of batches(hashes, this.#maxBatch)) {
      const answer = send(first, batch);
      // It is awaited below, perhaps after another has failed.
      answer.catch(() => {});
      underWay.push(answer);
      first += batch.length;
      const oldest = underWay.length === concurrency ? underWay.shift() : undefined;
      if (oldest !== undefined) {
        yield await oldest;
      }
    }
    for (const answer of underWay) {
      yield await answer;
    }
  }

  /** Waits until a connection stands. It says nothing about whether a generation is published yet. */
  ready(timeoutMs: number): Promise<void> {
    return this.#channel.ready(timeoutMs);
  }

  /** Closes the connection. */
  close(): void {
    this.#channel.close();
  }
}

function templateOf(options: LookupOptions, hashType: HashTypeInfo): Template {
  const { radius, banks = [], maxMatchesPerHash = 0, everyHash = false, minSequence = 0n } = options;
  if (!Array.isArray(banks) || !banks.every((name) => typeof name === "string")) {
    throw invalid("banks", "found something else than an array of names");
  }
  return {
    hashType: hashType.number,
    banks: [...banks],
    maxMatchesPerHash: checkedInt("maxMatchesPerHash", maxMatchesPerHash, 0, 2 ** 32 - 1),
    everyHash,
    minSequence: checkedUint64("minSequence", minSequence),
    ...(radius !== undefined && { radius: checkedInt("radius", radius, 0, 8 * hashType.widthBytes) }),
  };
}

async function* batches<T>(items: Iterable<T> | AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length === size) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) {
    yield batch;
  }
}
