/** When a long lookup asks again by itself. */

import { setTimeout as sleep } from "node:timers/promises";
import type { Deadline } from "./deadline.js";
import { Overloaded, Unavailable } from "./errors.js";

// Unless the server says how long.
const PAUSE_MS = 1000;

/**
 * Calls until the answer is something else than "overloaded" or "unavailable", or the deadline is too near.
 *
 * Waits up to half longer than the server asks for, so that clients who were refused together do not return together.
 */
export async function patiently<T>(
  call: () => Promise<T>,
  deadline: Deadline,
  signal: AbortSignal | undefined,
): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof Overloaded || error instanceof Unavailable)) {
        throw error;
      }
      const asked = error instanceof Overloaded ? error.retryAfterMs : undefined;
      const pauseMs = (asked ?? PAUSE_MS) * (1 + Math.random() / 2);
      const end = deadline.check();
      if (end !== undefined && Date.now() + pauseMs >= end) {
        throw error;
      }
      await sleep(pauseMs, undefined, signal === undefined ? {} : { signal });
    }
  }
}
