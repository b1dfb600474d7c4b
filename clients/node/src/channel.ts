/** A connection to NearHash servers, with the options that a long-lived client needs. */

import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type CallOptions, type ChannelOptions, Client, Metadata } from "@grpc/grpc-js";
import type { Deadline } from "./deadline.js";
import { errorFromRpc, invalid, Unavailable } from "./errors.js";
import { SERVICE_CONFIG } from "./gen/nearhash/v1/nearhash_grpc_service_config.js";
import { isOnThisMachine, type Target, targetName } from "./targets.js";
import { channelCredentials, type TLS } from "./tls.js";
import { Turns } from "./turns.js";

// The service config is that of all clients. A worker that restarts is back within two seconds; the waits before the four
// retries add up to 3.3 s.
const CHANNEL_OPTIONS: ChannelOptions = {
  "grpc.service_config": JSON.stringify(SERVICE_CONFIG),
  "grpc.per_rpc_retry_buffer_size": 4 * 1024 * 1024,
  "grpc.keepalive_time_ms": 60_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 5_000,
  "grpc.max_receive_message_length": 64 * 1024 * 1024,
};

// Under way: a server refuses those beyond 200 on a connection, and counts calls until it has put them away.
const MOST_CALLS = 100;

// RFC 6750, section 2.1. Above all no line break, which would end the header.
const BEARER = /^[A-Za-z0-9._~+/-]+=*$/;

/** How to connect. */
export interface ConnectOptions {
  /** Left out, everything goes in plain text: only for loopback, a Unix socket, or a network that encrypts by itself. */
  readonly tls?: TLS;
  /**
   * The bearer token that the server knows the caller by, or a function that is asked for it before each call. Never
   * sent in plain text, except on this machine.
   */
  readonly token?: string | (() => string);
}

/** When to give up a call. */
export interface WaitOptions {
  /** For everything that the call takes, retries included, in milliseconds; left out: as long as the server takes. */
  readonly timeoutMs?: number;
  /** Aborting it cancels the call, which then fails with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Calls unary methods over one channel. It connects with the first call. */
export class Channel {
  readonly #name: string;
  readonly #client: Client;
  readonly #token: (() => string) | undefined;
  readonly #turns = new Turns(MOST_CALLS);

  constructor(target: Target, { tls, token }: ConnectOptions) {
    this.#name = targetName(target);
    const local = isOnThisMachine(this.#name);
    if (token !== undefined && tls === undefined && !local) {
      throw invalid("token", "found one without TLS; give tls, or whoever listens on the way can use it");
    }
    this.#token = typeof token === "string" ? () => token : token;
    this.#metadata();
    this.#client = new Client(this.#name, channelCredentials(tls), {
      ...CHANNEL_OPTIONS,
      // A proxy of the environment would carry even this off the machine.
      ...(local && { "grpc.enable_http_proxy": 0 }),
      ...(tls?.serverName !== undefined && { "grpc.ssl_target_name_override": tls.serverName }),
    });
  }

  /** Calls a method; rejects with a `NearHashError`, or with the reason of the signal that was aborted. */
  call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    { signal, deadline }: { readonly signal?: AbortSignal | undefined; readonly deadline: Deadline },
  ): Promise<MessageShape<O>> {
    return this.#turns.run(() => this.#send(method, request, signal, deadline), deadline, signal);
  }

  #send<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    signal: AbortSignal | undefined,
    deadline: Deadline,
  ): Promise<MessageShape<O>> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const end = deadline.check();
      const options: CallOptions = end === undefined ? {} : { deadline: end };
      const call = this.#client.makeUnaryRequest(
        `/${method.parent.typeName}/${method.name}`,
        (message: MessageShape<I>) => Buffer.from(toBinary(method.input, message)),
        (bytes) => fromBinary(method.output, bytes),
        create(method.input, request),
        this.#metadata(),
        options,
        (error, response) => {
          signal?.removeEventListener("abort", cancel);
          if (response !== undefined) {
            resolve(response);
          } else if (signal?.aborted) {
            reject(signal.reason);
          } else if (error !== null) {
            reject(errorFromRpc(error));
          }
        },
      );
      const cancel = () => call.cancel();
      signal?.addEventListener("abort", cancel, { once: true });
    });
  }

  /** Waits until a connection stands; rejects with `Unavailable` if none does in time. */
  ready(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#client.waitForReady(Date.now() + timeoutMs, (error) => {
        if (error === undefined) {
          resolve();
        } else {
          reject(new Unavailable(`no connection to ${this.#name} within ${timeoutMs} ms`, { cause: error }));
        }
      });
    });
  }

  /** Closes the connection; calls under way end by themselves. */
  close(): void {
    this.#client.close();
  }

  #metadata(): Metadata {
    const metadata = new Metadata();
    if (this.#token !== undefined) {
      metadata.set("authorization", `Bearer ${checkedToken(this.#token())}`);
    }
    return metadata;
  }
}

function checkedToken(token: string): string {
  if (!BEARER.test(token)) {
    throw invalid("token", "found no bearer token; it consists of letters, digits and -._~+/, and may end in =");
  }
  return token;
}
