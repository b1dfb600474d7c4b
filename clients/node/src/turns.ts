/** Calls take turns: so many are under way at once, and further ones wait, in the order in which they came. */

import type { Deadline } from "./deadline.js";

// A longer timer would end at once.
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Turns {
  #free: number;
  // In the order in which they were added.
  readonly #waiting = new Set<() => void>();

  constructor(count: number) {
    this.#free = count;
  }

  /** Runs a call in its turn; rejects without it if the deadline or the signal ends the wait. */
  async run<T>(call: () => Promise<T>, deadline: Deadline, signal: AbortSignal | undefined): Promise<T> {
    if (this.#free > 0) {
      this.#free -= 1;
    } else {
      await this.#wait(deadline, signal);
    }
    try {
      return await call();
    } finally {
      this.#pass();
    }
  }

  #wait(deadline: Deadline, signal: AbortSignal | undefined): Promise<void> {
    const end = deadline.check();
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const after = (settle: () => void) => () => {
        this.#waiting.delete(begin);
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        settle();
      };
      const begin = after(resolve);
      const abort = after(() => reject(signal?.reason));
      const late = after(() => reject(deadline.exceeded()));
      const timer = end === undefined ? undefined : setTimeout(late, Math.min(end - Date.now(), LONGEST_TIMER_MS));
      signal?.addEventListener("abort", abort, { once: true });
      this.#waiting.add(begin);
    });
  }

  /** Gives a turn that is over to the call that has waited for longest. */
  #pass(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
    } else {
      next();
    }
  }
}
