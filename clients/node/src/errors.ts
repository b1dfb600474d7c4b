/** What the client throws, and the one table from gRPC statuses to it. No message repeats a hash: errors end up in logs. */

import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type ServiceError, status } from "@grpc/grpc-js";
import { BadRequestSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "./gen/google/rpc/status_pb.js";

/** Base of every error that this package defines. */
export class NearHashError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** One field of a request that is wrong. */
export interface FieldViolation {
  /** The field's path, with the position in a list where there is one: `hashes[3]`. */
  readonly field: string;
  /** What was found and what would be right. */
  readonly description: string;
}

/** The request is wrong, found here before sending or by the server (INVALID_ARGUMENT); a retry will not help. */
export class InvalidRequest extends NearHashError {
  constructor(
    message: string,
    /** The fields to correct; empty if the server named none. */
    readonly violations: readonly FieldViolation[] = [],
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Something that the request names does not exist, for example a bank (NOT_FOUND). */
export class NotFound extends NearHashError {}

/** What the request would create exists (ALREADY_EXISTS). */
export class AlreadyExists extends NearHashError {}

/** The server's state does not allow it: a disabled bank, a sequence not reached yet (FAILED_PRECONDITION). */
export class FailedPrecondition extends NearHashError {}

/** Nobody answers, or nothing is published yet, also after the retries (UNAVAILABLE); try again later. */
export class Unavailable extends NearHashError {}

/** The answer did not come within `timeoutMs` (DEADLINE_EXCEEDED). */
export class DeadlineExceeded extends NearHashError {}

/** The server sheds load, or a caller's quota is spent (RESOURCE_EXHAUSTED). */
export class Overloaded extends NearHashError {
  constructor(
    message: string,
    /** How long the server asks to wait; undefined if it did not say. */
    readonly retryAfterMs?: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The caller is known but may not do this (PERMISSION_DENIED). */
export class PermissionDenied extends NearHashError {}

/** The caller's credentials are missing or not accepted (UNAUTHENTICATED). */
export class Unauthenticated extends NearHashError {}

/** Any other failure; the message begins with the name of the gRPC status. */
export class ServerError extends NearHashError {}

const STATUS_ERRORS = new Map<status, new (message: string, options: ErrorOptions) => NearHashError>([
  [status.NOT_FOUND, NotFound],
  [status.ALREADY_EXISTS, AlreadyExists],
  [status.FAILED_PRECONDITION, FailedPrecondition],
  [status.UNAVAILABLE, Unavailable],
  [status.DEADLINE_EXCEEDED, DeadlineExceeded],
  [status.PERMISSION_DENIED, PermissionDenied],
  [status.UNAUTHENTICATED, Unauthenticated],
]);

/** Returns the typed error of a failed call; the original is its `cause`. */
export function errorFromRpc(error: ServiceError): NearHashError {
  const name = status[error.code] ?? String(error.code);
  const message = error.details || name;
  const cause = { cause: error };
  if (error.code === status.INVALID_ARGUMENT) {
    const { violations } = details(error);
    const unsaid = violations.filter(({ description }) => !message.includes(description));
    const said = [message, ...unsaid.map((violation) => `${violation.field}: ${violation.description}`)];
    return new InvalidRequest(said.join("; "), violations, cause);
  }
  if (error.code === status.RESOURCE_EXHAUSTED) {
    return new Overloaded(message, details(error).retryAfterMs, cause);
  }
  const Kind = STATUS_ERRORS.get(error.code);
  return Kind === undefined ? new ServerError(`${name}: ${message}`, cause) : new Kind(message, cause);
}

/** Returns the error for an argument found wrong before anything was sent. */
export function invalid(field: string, description: string): InvalidRequest {
  return new InvalidRequest(`${field}: ${description}`, [{ field, description }]);
}

function details(error: ServiceError): { violations: FieldViolation[]; retryAfterMs?: number } {
  const found: { violations: FieldViolation[]; retryAfterMs?: number } = { violations: [] };
  // A call that failed before it was sent has no metadata, whatever the type says.
  for (const value of error.metadata?.get("grpc-status-details-bin") ?? []) {
    for (const any of statusDetails(value)) {
      const badRequest = anyUnpack(any, BadRequestSchema);
      for (const { field, description } of badRequest?.fieldViolations ?? []) {
        found.violations.push({ field, description });
      }
      const delay = anyUnpack(any, RetryInfoSchema)?.retryDelay;
      if (delay !== undefined) {
        found.retryAfterMs = Number(delay.seconds) * 1e3 + delay.nanos / 1e6;
      }
    }
  }
  return found;
}

function statusDetails(value: string | Buffer) {
  try {
    return fromBinary(StatusSchema, Buffer.from(value)).details;
  } catch {
    // A proxy rewrote the message: the details no longer belong to it.
    return [];
  }
}
