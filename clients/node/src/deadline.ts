/** A point in time that the calls of one lookup share. */

import { DeadlineExceeded, invalid } from "./errors.js";

export class Deadline {
  readonly #timeoutMs: number | undefined;
  readonly #endMs: number | undefined;

  /** Throws `InvalidRequest` unless `timeoutMs` is above 0 or undefined, for no deadline. */
  constructor(timeoutMs: number | undefined) {
    if (timeoutMs !== undefined && !(timeoutMs > 0)) {
      throw invalid("timeoutMs", `found ${timeoutMs}; it is a number of milliseconds above 0`);
    }
    this.#timeoutMs = timeoutMs;
    this.#endMs = timeoutMs === undefined ? undefined : Date.now() + timeoutMs;
  }

  /** Returns the end in milliseconds since the epoch, undefined without one. Throws `DeadlineExceeded` after it. */
  check(): number | undefined {
    if (this.#endMs !== undefined && Date.now() >= this.#endMs) {
      throw this.exceeded();
    }
    return this.#endMs;
  }

  /** Returns the error that says that the time is over. */
  exceeded(): DeadlineExceeded {
    return new DeadlineExceeded(`not answered within timeoutMs = ${this.#timeoutMs}`);
  }
}
