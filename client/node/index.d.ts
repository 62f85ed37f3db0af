// SPDX-License-Identifier: Apache-2.0
// A worker's side of breakerd, for Node. docs/node.md shows it in use.

export type Outcome =
  | 'success' | 'failure' | 'timeout' | 'rate_limited' | 'rejected' | 'critical' | 'cancelled';

/** The right to make one call, or why not. */
export interface Permit {
  readonly allowed: boolean;
  /** The service to call: of a route its member. */
  readonly service: string;
  /** 0: nothing has to be given back. */
  readonly id: number;
  readonly generation: number;
  /** "closed", "open", "half_open" or "unknown". */
  readonly state: string;
  /** Of a denial: "open", "rate_limited", ...; else "none". */
  readonly reason: string;
  /** 0: not known. */
  readonly retryAfterMs: number;
  /** Who decided: "memory", "daemon", "local" or "nobody". */
  readonly source: string;
}

export interface BreakerOptions {
  /** The instance's directory; default $BREAKERD_DIR, else where it is usually. */
  dir?: string;
  /** A name for display; default the program's. */
  worker?: string;
  /** Default "auto": shared memory by koffi and libbreaker ($BREAKER_LIBRARY), else the wire by zeromq. */
  transport?: 'auto' | 'memory' | 'wire' | 'none';
  /** Without a daemon; default $BREAKERD_FAIL, else "local": this process decides (memory), or calls go through (wire). */
  fail?: 'local' | 'open' | 'closed';
  /** So long an answer of the daemon's is waited for, never by the loop; default 50 (memory), 200 (wire). */
  deadlineMs?: number;
  /** Gets the one warning; default process.emitWarning. */
  warn?: (sentence: string) => void;
}

/** One a process is enough; each thread and each member of a cluster has its own. */
export class Breaker {
  constructor(options?: BreakerOptions);
  /** The handle of those who name none. */
  static shared(): Breaker;
  readonly transport: { readonly name: 'memory' | 'wire' | 'none' };
  /** The service (or route) of this name, the same object each time. */
  service(name: string): Service;
  /** The daemon's epoch, or null while it does not answer. */
  ping(): Promise<number | null>;
  /** Tells what is untold and ends. A program that ends by itself need not call it. */
  close(): Promise<void>;
}

export interface Attempt {
  /** The service to call: of a route its member. */
  service: string;
  attempt: number;
  signal?: AbortSignal;
}

export interface CallOptions<F = never> {
  /** Called instead when the call may not be made; what it returns is returned. */
  fallback?: (error: CircuitOpen) => F | Promise<F>;
  /** Names the outcome of an error; undefined leaves it to the table. */
  classify?: (error: unknown) => Outcome | undefined;
}

export interface RetryOptions<F = never> extends CallOptions<F> {
  /** Attempts at most; the fleet's max_attempts and its budget hold in any case. */
  max?: number;
  /** Milliseconds of all attempts and waits. With one, an open circuit is waited for. */
  deadline?: number;
  signal?: AbortSignal;
}

export class Service {
  private constructor();
  readonly name: string;
  readonly breaker: Breaker;
  /** Calls `fn` if the service may be called, and tells what came of it; else throws CircuitOpen. */
  call<T, F = never>(fn: (attempt: Attempt) => T | Promise<T>, options?: CallOptions<F>): Promise<T | F>;
  /** The function, guarded. */
  guard<A extends unknown[], T, F = never>(fn: (...args: A) => T | Promise<T>, options?: CallOptions<F>): (...args: A) => Promise<T | F>;
  /** Calls `fn` until it succeeds, as often as the fleet's budget pays for. */
  retrying<T, F = never>(fn: (attempt: Attempt) => T | Promise<T>, options?: RetryOptions<F>): Promise<T | F>;
  /** The permit of a call that may be made, else null. */
  allow(): Promise<Permit | null>;
  /** The permit, allowed or not. */
  acquire(): Promise<Permit>;
  recordSuccess(permit?: Permit | null, latencyMs?: number): void;
  /** `what`: an error, or an outcome's word; default "failure". */
  recordFailure(permit?: Permit | null, what?: unknown, latencyMs?: number): void;
  /** Gives a permit back unused. */
  release(permit: Permit): void;
  /** A long call makes progress: its lease ends `ttlMs` from now. */
  renew(permit: Permit, ttlMs: number): Promise<boolean>;
  /** The service's status (docs/protocol.md, 6.1), or null. */
  status(): Promise<Record<string, any> | null>;
}

export interface FetchOptions {
  /** What does the work; default the global fetch. */
  fetch?: typeof globalThis.fetch;
  breaker?: Breaker;
  /** The SDK's own maxRetries, where it is not 2. */
  maxRetries?: number;
  /** The SDK's own timeout in milliseconds: an abort after it counts as one. */
  timeout?: number;
}

/**
 * A fetch for the `fetch` option of the OpenAI and Anthropic SDKs, or to call.
 * `target`: a service, its name, or { host: service }; without one every host is one.
 */
export function governedFetch(
  target?: Service | string | Record<string, Service | string>,
  options?: FetchOptions,
): (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

export interface RestOptions {
  /** What does the work; default discord.js's own. */
  request?: (url: string, init: any) => Promise<any>;
  breaker?: Breaker;
  /** discord.js's own, where they are not 3 and 15000. */
  retries?: number;
  timeout?: number;
}

/** The `makeRequest` of discord.js's REST client; NAME:invalid counts invalid requests. */
export function governedRest(target?: Service | string, options?: RestOptions): (url: string, init: any) => Promise<any>;

/** A call was not made, or not made again, because the fleet says so. */
export class BreakerError extends Error {
  readonly service: string;
  readonly reason: string;
  /** 0: not known. */
  readonly retryAfterMs: number;
  readonly generation: number;
}

/** The service may not be called now. */
export class CircuitOpen extends BreakerError {}

/** The attempt failed and may not be made again; its own error is the cause. */
export class RetryBudgetExhausted extends BreakerError {}
