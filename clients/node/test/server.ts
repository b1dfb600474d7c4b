/** Real servers, started as an operator would and ended by their process id. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));
const BIN = join(ROOT, ".venv", "bin");

/** A running `nearhash serve`. */
export class Server {
  private constructor(
    readonly target: string,
    readonly folder: string,
    private readonly process: ChildProcess,
  ) {}

  /** Starts a server on a data directory of its own and waits until it says that it serves. */
  static async start(...args: string[]): Promise<Server> {
    const folder = mkdtempSync(join(tmpdir(), "nearhash-node-"));
    const listen = args.includes("--listen") ? [] : ["--listen", "127.0.0.1:0"];
    const all = ["serve", "--data", join(folder, "data"), ...listen, ...args];
    const child = spawn(join(BIN, "nearhash"), all, { stdio: ["ignore", "pipe", "pipe"], cwd: folder });
    let log = "";
    child.stderr.on("data", (part) => {
      log += part;
    });
    for await (const line of createInterface({ input: child.stdout })) {
      const address = /^serving .* at (\S+) with \d+ worker/.exec(line)?.[1];
      if (address !== undefined) {
        child.stdout.resume();
        return new Server(address, folder, child);
      }
    }
    throw new Error(`the server did not start: ${log}`);
  }

  /** Ends it, calls in flight first, and removes its files. */
  async stop(): Promise<void> {
    if (this.process.exitCode === null) {
      this.process.kill("SIGTERM");
      await once(this.process, "exit");
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Makes an authority and certificates for loopback, `NAME.pem` and `NAME.key`, in a folder that it returns. */
export function certificates(...names: string[]): string {
  const folder = mkdtempSync(join(tmpdir(), "nearhash-node-"));
  const code = `
import pathlib, sys
from tests.service.certificates import Authority
authority = Authority(pathlib.Path(sys.argv[1]), "authority")
for name in sys.argv[2:]:
    authority.issue(name)
`;
  execFileSync(join(BIN, "python"), ["-c", code, folder, ...names], { cwd: ROOT });
  return folder;
}

/** Returns the first result that is not undefined; fails if there is none in time. */
export async function eventually<T>(what: () => Promise<T | undefined>, withinMs = 20_000): Promise<T> {
  for (const end = Date.now() + withinMs; Date.now() < end; await sleep(20)) {
    const result = await what();
    if (result !== undefined) {
      return result;
    }
  }
  throw new Error("it did not come about in time");
}
