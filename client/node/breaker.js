// SPDX-License-Identifier: Apache-2.0
// A handle on one breakerd, and its services. Nothing here waits on the loop.
import path from 'node:path';
import { classifyError, classifyHttp, RETRYABLE, verdictOfWord } from './classify.js';
import { CircuitOpen, RetryBudgetExhausted } from './errors.js';
import { Memory, nobody } from './memory.js';
import { Wire } from './wire.js';

// A retry in hand outlasts a denial of a moment (docs/calls.md).
const MOMENT_MS = 250;
const MOMENTS = 4;
const LOOK_MS = [50, 100, 200, 400, 800, 1000];
const DEADLINE_MAX_MS = 60000;
const NAME = /^(?!-$)[A-Za-z0-9._:/@-]{1,63}$/;

/** Neither shared memory nor a socket: every call is let through, or none. */
class Nobody {
  name = 'none';

  constructor(fail) { this.fail = fail; }
  take(name) { return nobody(name, this.fail); }
  async ask(name) { return this.take(name); }
  tell() {}
  release() {}
  releaseToken() {}
  async renew() { return false; }
  async retry() { return { granted: false, reason: 'unavailable', retryAfterMs: 0 }; }
  async status() { return null; }
  async config() { return null; }
  async ping() { return null; }
  flush() {}
  async close() {}
  closeNow() {}
}

export function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => { clearTimeout(timer); reject(signal.reason); };
    const timer = setTimeout(() => { signal?.removeEventListener('abort', stop); resolve(); }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
  });
}

// A program that ends by itself tells what is untold first.
const open = new Set();
const whenTheProgramEnds = (() => {
  let isKnown = false;
  return () => {
    if (isKnown) return;
    isKnown = true;
    process.on('beforeExit', () => open.forEach((transport) => transport.flush()));
    process.on('exit', () => open.forEach((transport) => transport.closeNow()));
  };
})();

export class Breaker {
  static #shared = null;

  /** The handle of those who name none: everything by environment. */
  static shared() {
    Breaker.#shared ??= new Breaker();
    return Breaker.#shared;
  }

  #services = new Map();

  constructor({ dir, worker, transport = 'auto', fail, deadlineMs, warn } = {}) {
    if (!['auto', 'memory', 'wire', 'none'].includes(transport)) throw new TypeError(`transport is auto, memory, wire or none, not ${transport}`);
    if (![undefined, 'local', 'open', 'closed'].includes(fail)) throw new TypeError(`fail is local, open or closed, not ${fail}`);
    if (deadlineMs !== undefined && !(Number.isInteger(deadlineMs) && deadlineMs > 0 && deadlineMs <= DEADLINE_MAX_MS)) throw new TypeError(`deadlineMs is 1 to ${DEADLINE_MAX_MS}, not ${deadlineMs}`);
    let isWarned = false;
    const once = (sentence) => {
      if (isWarned) return;
      isWarned = true;
      (warn ?? ((s) => process.emitWarning(s, 'BreakerWarning')))(sentence);
    };
    const options = {
      dir, fail: fail ?? process.env.BREAKERD_FAIL, deadlineMs, warn: once,
      worker: worker ?? path.basename(process.argv[1] ?? 'node'),
    };
    this.transport = this.#connect(transport, options);
    open.add(this.transport);
    whenTheProgramEnds();
  }

  #connect(wanted, options) {
    const troubles = [];
    for (const [name, Kind] of [['memory', Memory], ['wire', Wire]]) {
      if (wanted !== 'auto' && wanted !== name) continue;
      try {
        return new Kind(options);
      } catch (e) {
        troubles.push(e.message);
      }
    }
    if (wanted !== 'none') options.warn(`no way to breakerd: ${troubles.join('; ')}; ${options.fail === 'closed' ? 'calls are denied' : 'calls are let through'}`);
    return new Nobody(options.fail);
  }

  /** The service (or route) of this name, the same object each time. */
  service(name) {
    let service = this.#services.get(name);
    if (service === undefined) {
      if (typeof name !== 'string' || !NAME.test(name)) throw new TypeError(`${JSON.stringify(name)}: a service's name is 1 to 63 of A-Z a-z 0-9 . _ : / @ -, and not - alone`);
      service = new Service(this, name);
      this.#services.set(name, service);
    }
    return service;
  }

  /** The daemon's epoch, or null while it does not answer. */
  ping() {
    return this.transport.ping();
  }

  /** Tells what is untold and ends the connection. */
  async close() {
    open.delete(this.transport);
    await this.transport.close();
  }
}

/** Made by Breaker.service(). */
export class Service {
  constructor(breaker, name) {
    this.breaker = breaker;
    this.name = name;
  }

  get transport() {
    return this.breaker.transport;
  }

  // ---- a permit ----

  /** The permit for a first attempt, allowed or not. */
  async acquire() {
    return this.transport.take(this.name) ?? this.transport.ask(this.name);
  }

  denied(permit) {
    return new CircuitOpen({ service: this.name, reason: permit.reason, retryAfterMs: permit.retryAfterMs, generation: permit.generation });
  }

  /** Tells a verdict of classify.js. */
  tell(permit, verdict, startedMs, more) {
    this.transport.tell(this.name, permit, verdict.told, {
      latencyUs: startedMs === undefined ? -1 : Math.round((performance.now() - startedMs) * 1000),
      retryAfterMs: verdict.told === 'rate_limited' ? verdict.retryAfterMs : 0,
      text: verdict.text,
      ...more,
    });
  }

  // ---- whole calls ----

  /** Calls `fn` if the service may be called, and tells what came of it. */
  async call(fn, { fallback, classify } = {}) {
    const permit = this.transport.take(this.name) ?? (await this.transport.ask(this.name));
    if (!permit.allowed) {
      const error = this.denied(permit);
      if (fallback) return fallback(error);
      throw error;
    }
    const made = await attemptOf(fn, new Attempt(permit, 1), classify);
    this.tell(permit, made.verdict, made.started);
    if ('error' in made) throw made.error;
    return made.value;
  }

  /** The function, guarded: what call() does with each of its calls. */
  guard(fn, options) {
    const service = this;
    return function guarded(...args) {
      return service.call(() => fn.apply(this, args), options);
    };
  }

  /**
   * Calls `fn` until it succeeds, as often as the fleet's budget pays for, at most
   * `max` times and `deadline` milliseconds. With a deadline an open circuit is
   * waited for. An answer of HTTP is judged as one, and is what is returned last.
   */
  async retrying(fn, { max = Infinity, deadline, signal, fallback, classify } = {}) {
    const end = deadline === undefined ? Infinity : performance.now() + deadline;
    let token = null;
    for (let attempt = 1; ; attempt++) {
      const permit = await this.admitted(attempt, token, { end, signal });
      if (!permit.allowed) {
        const error = this.denied(permit);
        if (fallback) return fallback(error);
        throw error;
      }
      const made = await attemptOf(fn, new Attempt(permit, attempt, signal), classify);
      token = await this.#settled(permit, made, attempt, attempt < max && !signal?.aborted, end);
      if (!token) return made.value;
      await this.#backoff(token, token.delayMs, signal);
    }
  }

  /** Tells what came of an attempt; the token of the next one, or null, or throws. */
  async #settled(permit, made, attempt, mayRetry, end) {
    const { verdict } = made;
    // The token is asked for first, and the outcome is told then (docs/calls.md).
    const token = mayRetry && RETRYABLE.has(verdict.outcome)
      ? await this.askRetry(permit, attempt, verdict)
      : { granted: false, reason: 'not_retryable' };
    const isGranted = token.granted && performance.now() + token.delayMs < end;
    this.tell(permit, verdict, made.started, { willRetry: isGranted, attempt });
    if (isGranted) return token;
    if (token.granted) this.transport.releaseToken(token);
    if (!('error' in made)) return null;
    if (token.reason !== 'budget') throw made.error;
    throw this.exhausted(token, made.error);
  }

  /** The token of the next attempt, granted or not; of a route it is its member's. */
  askRetry(permit, failed, verdict) {
    return this.transport.retry(permit.service, failed, verdict.outcome, verdict.retryAfterMs);
  }

  exhausted(token, cause) {
    return new RetryBudgetExhausted({ service: this.name, reason: token.reason, retryAfterMs: token.retryAfterMs, cause });
  }

  async #backoff(token, ms, signal) {
    try {
      await sleep(ms, signal);
    } catch (aborted) {
      if (token) this.transport.releaseToken(token);
      throw aborted;
    }
  }

  /**
   * The permit of an attempt. A retry in hand outlasts a denial of a moment, and
   * with an `end` any denial that is over by then is waited for.
   */
  async admitted(attempt, token = null, { end = Infinity, signal } = {}) {
    for (let i = 0; ; i++) {
      const permit = token === null ? await this.acquire() : await this.transport.ask(this.name, attempt, token);
      if (permit.allowed) return permit;
      const known = permit.retryAfterMs || LOOK_MS[Math.min(i, LOOK_MS.length - 1)];
      const isMoment = token !== null && i < MOMENTS && permit.reason !== 'budget' &&
        known <= Math.max(MOMENT_MS, token.delayMs / 10);
      const waitMs = known * (1 + Math.random() / 10);
      // 'unavailable' is fail closed; nobody knows when that ends.
      const isInTime = end !== Infinity && performance.now() + waitMs < end && permit.reason !== 'unavailable';
      if (!isMoment && !isInTime) {
        if (token) this.transport.releaseToken(token);
        return permit;
      }
      await this.#backoff(token, waitMs, signal);
    }
  }

  // ---- by hand ----

  /** The permit of a call that may be made, else null. Then recordSuccess or recordFailure. */
  async allow() {
    const permit = await this.acquire();
    return permit.allowed ? permit : null;
  }

  /** Without a permit it counts all the same. */
  recordSuccess(permit = null, latencyMs) {
    this.#record(permit, 'success', '', latencyMs);
  }

  /** `what`: an error, or an outcome's word. */
  recordFailure(permit = null, what = 'failure', latencyMs) {
    const verdict = typeof what === 'string' ? verdictOfWord(what) : classifyError(what);
    this.#record(permit, verdict.told, verdict.text, latencyMs, verdict.retryAfterMs);
  }

  #record(permit, outcome, text, latencyMs, retryAfterMs = 0) {
    this.transport.tell(this.name, permit, outcome, {
      latencyUs: latencyMs >= 0 && latencyMs < Infinity ? Math.round(latencyMs * 1000) : -1, text,
      retryAfterMs: outcome === 'rate_limited' ? retryAfterMs : 0,
    });
  }

  /** Gives a permit back unused. */
  release(permit) {
    this.transport.release(permit);
  }

  /** A long call makes progress: its lease ends `ttlMs` from now. */
  renew(permit, ttlMs) {
    return this.transport.renew(permit, ttlMs);
  }

  /** The status document (docs/protocol.md, 6.1) of this service; null: nobody answers. */
  async status() {
    return (await this.transport.status(this.name))?.services[0] ?? null;
  }
}

const SUCCESS = verdictOfWord('success');

/** A value that is an HTTP answer is judged as one. */
function verdictOf(value) {
  if (!Number.isInteger(value?.status) || typeof value.headers?.get !== 'function') return SUCCESS;
  return classifyHttp(value.status, value.headers);
}

/** `classify` may throw. */
function verdictOfError(error, classify) {
  const said = classify?.(error);
  return said ? verdictOfWord(said, String(error?.name ?? '')) : classifyError(error);
}

/** What a call's function is told; the service's name is seldom asked for. */
class Attempt {
  #permit;

  constructor(permit, attempt, signal) {
    this.#permit = permit;
    this.attempt = attempt;
    this.signal = signal;
  }

  get service() {
    return this.#permit.service;
  }
}

async function attemptOf(fn, context, classify) {
  const started = performance.now();
  try {
    const value = await fn(context);
    return { started, value, verdict: verdictOf(value) };
  } catch (error) {
    try {
      return { started, error, verdict: verdictOfError(error, classify) };
    } catch (fault) {
      return { started, error: fault, verdict: verdictOfWord('cancelled', String(fault?.name ?? '')) };
    }
  }
}
