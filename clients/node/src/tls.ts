/** How a connection is secured. */

import { readFile } from "node:fs/promises";
import { type ChannelCredentials, credentials } from "@grpc/grpc-js";
import { invalid } from "./errors.js";

/** How to secure a connection, all in PEM. With a key and its chain the client proves who it is (mTLS). */
export interface TLS {
  /** The authorities that may have signed the server's certificate; those that Node ships if left out. */
  readonly rootCertificates?: Buffer;
  /** The client's key and certificates; both or neither. */
  readonly privateKey?: Buffer;
  readonly certificateChain?: Buffer;
  /** The name to expect in the server's certificate; the target's host if left out. */
  readonly serverName?: string;
}

/** Reads the PEM files of a `TLS`. */
export async function tlsFromFiles(paths: {
  readonly rootCertificates?: string;
  readonly privateKey?: string;
  readonly certificateChain?: string;
  readonly serverName?: string;
}): Promise<TLS> {
  const { rootCertificates, privateKey, certificateChain, serverName } = paths;
  return {
    ...(rootCertificates !== undefined && { rootCertificates: await readFile(rootCertificates) }),
    ...(privateKey !== undefined && { privateKey: await readFile(privateKey) }),
    ...(certificateChain !== undefined && { certificateChain: await readFile(certificateChain) }),
    ...(serverName !== undefined && { serverName }),
  };
}

/** Returns gRPC's credentials; undefined is plain text. Throws `InvalidRequest`. */
export function channelCredentials(tls: TLS | undefined): ChannelCredentials {
  if (tls === undefined) {
    return credentials.createInsecure();
  }
  if ((tls.privateKey === undefined) !== (tls.certificateChain === undefined)) {
    const missing = tls.privateKey === undefined ? "privateKey" : "certificateChain";
    throw invalid(`tls.${missing}`, "found none; the private key and its certificate chain go together");
  }
  return credentials.createSsl(tls.rootCertificates, tls.privateKey, tls.certificateChain);
}
