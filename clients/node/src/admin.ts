/** Administers banks, their entries, and what is published. For operators. */

import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Channel, type ConnectOptions, type WaitOptions } from "./channel.js";
import { checkedInt, checkedUint64 } from "./checks.js";
import { Deadline } from "./deadline.js";
import { ServerError } from "./errors.js";
import {
  type ApplyChangesResponse,
  type AuditRecord,
  type Bank,
  BankService,
  type ChangeSchema,
  type EstimateMatchesResponse,
  type Generation,
  type GetEntryResponse,
  type GetStatusResponse,
  type PublishResponse,
  type QuarantinedEntry,
} from "./gen/nearhash/v1/banks_pb.js";
import { findHashType, type HashTypeName } from "./hash_types.js";
import { type Hash, packOne } from "./packing.js";
import { HASHER_LABEL } from "./results.js";
import type { Target } from "./targets.js";

/** Inclusive radii in bits by hash type. */
export type Radii = Readonly<Partial<Record<HashTypeName, number>>>;

/** Names an entry within a bank. */
export interface EntryKey {
  readonly entryId: string;
  /** Who asserts the entry. */
  readonly source: string;
}

/** A hash and its type. */
export interface TypedHash {
  readonly hashType: HashTypeName;
  readonly value: Hash;
}

/** What a source asserts: hashes of any types, at least one, and labels. */
export interface Entry extends EntryKey {
  readonly hashes: readonly TypedHash[];
  /** Hashes to keep aside because they would match too much: degenerate, or of low quality. */
  readonly quarantined?: readonly TypedHash[];
  readonly labels?: readonly string[];
  /** What computed the hashes, with versions: kept as labels, and in `Match.hashers`. */
  readonly hashers?: readonly string[];
  /** Of the PDQ hash, 0 to 100. */
  readonly quality?: number;
}

/** A change of one entry. What each means is in `banks.proto`, at `Change`. */
export type Change =
  | { readonly upsert: Entry; readonly statedTime?: Date }
  | { readonly remove: EntryKey }
  | { readonly withdraw: EntryKey; readonly statedTime?: Date }
  | { readonly disable: EntryKey; readonly until?: Date }
  | { readonly enable: EntryKey }
  | { readonly reinstate: EntryKey }
  | { readonly unquarantine: EntryKey };

/** A change's author, kept in the audit log, and when to give up. */
export interface ChangeOptions extends WaitOptions {
  /** Who makes the change. Left out: the caller as the server knows it. */
  readonly actor?: string;
  readonly reason?: string;
}

/**
 * Administers the banks of a NearHash server. Methods answer with the messages of `banks.proto`, and reject with a
 * `NearHashError`. Changes are durable when answered, and followed by every worker within a second.
 */
export class AdminClient {
  readonly #channel: Channel;

  constructor(target: Target, options: ConnectOptions = {}) {
    this.#channel = new Channel(target, options);
  }

  /** Creates an enabled, empty bank; types left out of `radii` have their default. Rejects with `AlreadyExists`. */
  async createBank(
    name: string,
    options: ChangeOptions & { radii?: Radii; labels?: readonly string[]; allowlist?: boolean } = {},
  ): Promise<Bank> {
    const { radii = {}, labels = [], allowlist = false } = options;
    const request = { name, radii: radiiOf(radii), labels: [...labels], allowlist, author: authorOf(options) };
    return required((await this.#channel.call(BankService.method.createBank, request, waiting(options))).bank);
  }

  /** Changes what is named of a bank. `labels` take the place of those it has. */
  async updateBank(
    name: string,
    options: ChangeOptions & { radii?: Radii; enabled?: boolean; labels?: readonly string[]; allowlist?: boolean } = {},
  ): Promise<Bank> {
    const { radii = {}, enabled, labels, allowlist } = options;
    const request = {
      name,
      radii: radiiOf(radii),
      author: authorOf(options),
      ...(enabled !== undefined && { enabled }),
      ...(labels !== undefined && { labels: { labels: [...labels] } }),
      ...(allowlist !== undefined && { allowlist }),
    };
    return required((await this.#channel.call(BankService.method.updateBank, request, waiting(options))).bank);
  }

  /** Returns all banks, sorted by name. */
  async listBanks(options: WaitOptions = {}): Promise<Bank[]> {
    return (await this.#channel.call(BankService.method.listBanks, {}, waiting(options))).banks;
  }

  /** Changes entries of one bank: all of the changes or nothing. Idempotent. `dryRun`: only tell what would be done. */
  applyChanges(
    bank: string,
    changes: readonly Change[],
    options: ChangeOptions & { dryRun?: boolean } = {},
  ): Promise<ApplyChangesResponse> {
    const request = {
      bank,
      changes: changes.map(changeOf),
      author: authorOf(options),
      dryRun: options.dryRun ?? false,
    };
    return this.#channel.call(BankService.method.applyChanges, request, waiting(options));
  }

  /** Stops matching an entry for good, even after a roll back or when a list brings it again. */
  withdraw(bank: string, key: EntryKey, options: ChangeOptions = {}): Promise<ApplyChangesResponse> {
    return this.applyChanges(bank, [{ withdraw: key }], options);
  }

  /**
   * Builds a generation from all changes and makes it current. `dryRun`: only tell what would change.
   * `keptGenerations`: so many earlier ones stay for roll back; left out: as many as the server keeps.
   */
  publish(options: ChangeOptions & { dryRun?: boolean; keptGenerations?: number } = {}): Promise<PublishResponse> {
    const request = {
      dryRun: options.dryRun ?? false,
      keptGenerations: checkedInt("keptGenerations", options.keptGenerations ?? 0, 0, 2 ** 32 - 1),
      author: authorOf(options),
    };
    return this.#channel.call(BankService.method.publish, request, waiting(options));
  }

  /** Returns the generations that are kept, newest first. */
  async listGenerations(options: WaitOptions = {}): Promise<Generation[]> {
    return (await this.#channel.call(BankService.method.listGenerations, {}, waiting(options))).generations;
  }

  /** Makes an earlier generation current and pins it; left out or 0n: the newest before the current one. */
  async rollback(generation = 0n, options: ChangeOptions = {}): Promise<Generation> {
    const request = { generation: checkedUint64("generation", generation), author: authorOf(options) };
    return required((await this.#channel.call(BankService.method.rollback, request, waiting(options))).generation);
  }

  /** Ends a roll back: the newest generation is current again, with all changes since. */
  async release(options: ChangeOptions = {}): Promise<Generation> {
    const request = { author: authorOf(options) };
    return required((await this.#channel.call(BankService.method.release, request, waiting(options))).generation);
  }

  /** Returns what is known of the entries of one id, one for each source. Rejects with `NotFound`. */
  getEntry(bank: string, entryId: string, options: WaitOptions = {}): Promise<GetEntryResponse> {
    return this.#channel.call(BankService.method.getEntry, { bank, entryId }, waiting(options));
  }

  /** Returns a bank's entries that have quarantined hashes, at most `limit`; left out: 100. */
  async listQuarantine(bank: string, options: WaitOptions & { limit?: number } = {}): Promise<QuarantinedEntry[]> {
    const request = { bank, limit: limitOf(options) };
    return (await this.#channel.call(BankService.method.listQuarantine, request, waiting(options))).entries;
  }

  /** Returns the newest records of the audit log, newest first, at most `limit`; left out: 100. */
  async listAudit(options: WaitOptions & { limit?: number } = {}): Promise<AuditRecord[]> {
    const request = { limit: limitOf(options) };
    return (await this.#channel.call(BankService.method.listAudit, request, waiting(options))).records;
  }

  /** Returns what is published, what waits, and what each worker serves. */
  status(options: WaitOptions = {}): Promise<GetStatusResponse> {
    return this.#channel.call(BankService.method.getStatus, {}, waiting(options));
  }

  /** Estimates from a bank's published hashes, at least 100, how many random matches to expect at each radius. */
  estimateMatches(bank: string, hashType: HashTypeName, options: WaitOptions = {}): Promise<EstimateMatchesResponse> {
    const request = { bank, hashType: findHashType(hashType).number };
    return this.#channel.call(BankService.method.estimateMatches, request, waiting(options));
  }

  /** Waits until a connection stands. */
  ready(timeoutMs: number): Promise<void> {
    return this.#channel.ready(timeoutMs);
  }

  /** Closes the connection. */
  close(): void {
    this.#channel.close();
  }
}

function changeOf(change: Change, position: number): MessageInitShape<typeof ChangeSchema> {
  if ("upsert" in change) {
    const value = entryOf(change.upsert, `changes[${position}].upsert`);
    return { change: { case: "upsert", value }, ...statedOf(change) };
  }
  if ("disable" in change) {
    const until = change.until === undefined ? {} : { until: timestampFromDate(change.until) };
    return { change: { case: "disable", value: { key: keyOf(change.disable), ...until } } };
  }
  if ("remove" in change) {
    return { change: { case: "remove", value: keyOf(change.remove) } };
  }
  if ("withdraw" in change) {
    return { change: { case: "withdraw", value: keyOf(change.withdraw) }, ...statedOf(change) };
  }
  if ("enable" in change) {
    return { change: { case: "enable", value: keyOf(change.enable) } };
  }
  if ("reinstate" in change) {
    return { change: { case: "reinstate", value: keyOf(change.reinstate) } };
  }
  return { change: { case: "unquarantine", value: keyOf(change.unquarantine) } };
}

function statedOf({ statedTime }: { readonly statedTime?: Date }) {
  return statedTime === undefined ? {} : { statedTime: timestampFromDate(statedTime) };
}

function entryOf({ hashes, quarantined = [], labels = [], hashers = [], quality, ...key }: Entry, field: string) {
  return {
    key: keyOf(key),
    hashes: hashes.map((hash, i) => hashOf(hash, `${field}.hashes[${i}]`)),
    quarantined: quarantined.map((hash, i) => hashOf(hash, `${field}.quarantined[${i}]`)),
    labels: [...labels, ...hashers.map((hasher) => HASHER_LABEL + hasher)],
    ...(quality !== undefined && { quality: checkedInt(`${field}.quality`, quality, 0, 100) }),
  };
}

function hashOf({ hashType, value }: TypedHash, field: string) {
  const known = findHashType(hashType, `${field}.hashType`);
  return { hashType: known.number, value: packOne(value, known, `${field}.value`) };
}

function keyOf({ entryId, source }: EntryKey) {
  return { entryId, source };
}

function radiiOf(radii: Radii) {
  return Object.entries(radii).map(([name, radius]) => {
    const { number, widthBytes } = findHashType(name as HashTypeName, "radii");
    return { hashType: number, radius: checkedInt(`radii.${name}`, radius, 0, 8 * widthBytes) };
  });
}

function authorOf({ actor = "", reason = "" }: ChangeOptions) {
  return { actor, reason };
}

function limitOf({ limit = 0 }: { readonly limit?: number }): number {
  return checkedInt("limit", limit, 0, 2 ** 32 - 1);
}

function waiting({ signal, timeoutMs }: WaitOptions) {
  return { signal, deadline: new Deadline(timeoutMs) };
}

function required<T>(message: T | undefined): T {
  if (message === undefined) {
    throw new ServerError("the answer lacks what it is about; is the server of another version?");
  }
  return message;
}
