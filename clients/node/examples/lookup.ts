/**
 * Looks hexadecimal hashes up, one per line of the standard input, and prints each batch's result as a line of JSON.
 *
 *     node dist/examples/lookup.js 127.0.0.1:50051 phash64 <hashes.txt
 */

import { createInterface } from "node:readline";
import { Client, type HashTypeName } from "nearhash-client";

const [target = "127.0.0.1:50051", hashType = "phash64"] = process.argv.slice(2);
const client = new Client(target);
const hashes = createInterface({ input: process.stdin });
for await (const { result } of client.lookupMany(hashes, { hashType: hashType as HashTypeName, timeoutMs: 10_000 })) {
  console.log(JSON.stringify(result, (_, value) => (typeof value === "bigint" ? String(value) : value)));
}
client.close();
