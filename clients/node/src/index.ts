/** Client for NearHash, which answers which entries of hash lists lie within a Hamming radius of hashes. */

export * from "./admin.js";
export type { ConnectOptions, WaitOptions } from "./channel.js";
export { Client, type LookupManyOptions, type LookupOptions } from "./client.js";
export {
  AlreadyExists,
  DeadlineExceeded,
  FailedPrecondition,
  type FieldViolation,
  InvalidRequest,
  NearHashError,
  NotFound,
  Overloaded,
  PermissionDenied,
  ServerError,
  Unauthenticated,
  Unavailable,
} from "./errors.js";
export type {
  ApplyChangesResponse,
  AuditRecord,
  Bank,
  BankDiff,
  EstimateMatchesResponse,
  Generation,
  GetEntryResponse,
  GetStatusResponse,
  PublishResponse,
  QuarantinedEntry,
  StoredEntry,
  WorkerStatus,
} from "./gen/nearhash/v1/banks_pb.js";
export { EntryState } from "./gen/nearhash/v1/banks_pb.js";
export { HASH_TYPES, type HashTypeName, hashTypeName } from "./hash_types.js";
export type { Hash } from "./packing.js";
export {
  type Allowed,
  type AnsweredBatch,
  HASHER_LABEL,
  type LookupResult,
  type Match,
  type Unsearchable,
} from "./results.js";
export type { Target } from "./targets.js";
export { type TLS, tlsFromFiles } from "./tls.js";
