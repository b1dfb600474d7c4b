/** Names of servers as gRPC takes them, and whether they lie on this machine. */

import { isIP } from "node:net";
import { invalid } from "./errors.js";

/**
 * A name as gRPC writes it: `host:port`, `dns:///host:port`, `unix:/path`. Or several servers, each an IP address with
 * its port: `["10.0.0.1:50051", "10.0.0.2:50051"]`, `["[::1]:50051"]`.
 */
export type Target = string | readonly string[];

/** Returns the one name by which gRPC reaches all of the servers. Throws `InvalidRequest`. */
export function targetName(target: Target): string {
  const names = typeof target === "string" ? [target] : target;
  const [only] = names;
  if (!only || names.includes("")) {
    throw invalid("target", "found none; name a server as host:port");
  }
  if (names.length === 1) {
    return only;
  }
  const versions = new Set(names.map(ipVersion));
  if (versions.size > 1) {
    throw invalid("target", "found IPv4 and IPv6 addresses together; pass addresses of one kind, or one DNS name");
  }
  return `ipv${[...versions][0]}:${names.join(",")}`;
}

/** Tells whether everything sent to a target stays on this machine: loopback and Unix sockets. */
export function isOnThisMachine(name: string): boolean {
  const [, scheme, rest = ""] = /^(unix|unix-abstract|ipv4|ipv6|dns):(.*)$/.exec(name) ?? [];
  if (scheme?.startsWith("unix")) {
    return true;
  }
  if (scheme?.startsWith("ipv")) {
    return rest.split(",").every(isLoopback);
  }
  return isLoopback(scheme === "dns" ? rest.replace(/^\/\/\//, "") : name);
}

function isLoopback(name: string): boolean {
  const host = hostOf(name);
  return host.toLowerCase() === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function ipVersion(name: string, position: number): number {
  const version = isIP(hostOf(name));
  if (version === 0 || !/:\d+$/.test(name)) {
    const rule = "several servers are given as IP address and port each, or as one DNS name";
    throw invalid(`target[${position}]`, `found ${JSON.stringify(name)}; ${rule}`);
  }
  return version;
}

/** Returns the host of `host`, `host:port`, `[v6]` or `[v6]:port`. */
function hostOf(name: string): string {
  return /^\[([^\]]*)\]/.exec(name)?.[1] ?? name.replace(/:.*$/, "");
}
