// SPDX-License-Identifier: Apache-2.0
// fetch, governed: every request asks first, every answer is told, and the retries
// that an SDK makes by itself take a token of the fleet's budget each.
import { BODY_MAX, classifyError, classifyHttp, RETRYABLE } from './classify.js';
import { finder } from './hosts.js';

// What the OpenAI and Anthropic SDKs say of an attempt: how many came before it,
// and after how many seconds they give it up.
const COUNT = 'x-stainless-retry-count';
const TIMEOUT = 'x-stainless-timeout';
// An abort after this long, where nothing is said, is an SDK's that gave up.
const ATTEMPT_TIMEOUT_MS = 30000;
// How often both retry when nothing is set.
const SDK_RETRIES = 2;
// A token whose retry does not come goes back.
const TOKEN_SLACK_MS = 5000;
const TOKENS_MAX = 1024;
// So long a body of an error is waited for.
const BODY_MS = 1000;

/** Statuses that both SDKs try again unless they are told. */
const sdkRetries = (status, told) => (told === null ? [408, 409, 429].includes(status) || status >= 500 : told === 'true');

/** Granted retries by service and attempt, until the SDK comes back for them. */
class Tokens {
  #kept = new Map();

  #key(service, attempt) {
    return `${service.name} ${attempt}`;
  }

  keep(service, attempt, token) {
    const key = this.#key(service, attempt);
    const list = this.#kept.get(key) ?? [];
    const kept = { token };
    if (list.length >= TOKENS_MAX) {
      service.transport.releaseToken(token);
      return;
    }
    kept.timer = setTimeout(() => {
      list.splice(list.indexOf(kept), 1);
      service.transport.releaseToken(token);
    }, token.delayMs + TOKEN_SLACK_MS);
    kept.timer.unref();
    list.push(kept);
    this.#kept.set(key, list);
  }

  take(service, attempt) {
    const kept = this.#kept.get(this.#key(service, attempt))?.shift();
    clearTimeout(kept?.timer);
    return kept?.token ?? null;
  }
}

/** A 503 that SDKs understand: it is final, and says when to come back. */
function refusal(error, type) {
  const headers = { 'content-type': 'application/json', 'x-should-retry': 'false' };
  if (error.retryAfterMs > 0) {
    headers['retry-after'] = String(Math.ceil(error.retryAfterMs / 1000));
    headers['retry-after-ms'] = String(Math.ceil(error.retryAfterMs));
  }
  const { service, reason, message } = error;
  // What is not known is left out.
  const seconds = error.retryAfterMs > 0 ? error.retryAfterMs / 1000 : undefined;
  const body = { type: 'error', error: { type, code: type, message, service, reason, retry_after: seconds } };
  return new Response(JSON.stringify(body), { status: 503, statusText: 'Service Unavailable', headers });
}

/** The beginning of a body, as far as it comes in time. */
async function beginning(response) {
  const reader = response.clone().body?.getReader();
  if (!reader) return '';
  const late = setTimeout(() => reader.cancel().catch(() => {}), BODY_MS);
  const parts = [];
  try {
    for (let size = 0; size < BODY_MAX; ) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      size += value.length;
    }
  } catch {
    // It broke off: what came counts.
  } finally {
    clearTimeout(late);
    reader.cancel().catch(() => {});
  }
  return Buffer.concat(parts).toString('utf8');
}

function rebuilt(response, body, headers = response.headers) {
  const { status, statusText, url, redirected } = response;
  const made = new Response(body, { status, statusText, headers });
  Object.defineProperty(made, 'url', { value: url });
  Object.defineProperty(made, 'redirected', { value: redirected });
  return made;
}

/** The headers were the verdict; a body that breaks off is told besides. */
function watched(response, whenBroken) {
  if (!response.body) return response;
  const reader = response.body.getReader();
  return rebuilt(response, new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        whenBroken(error);
        controller.error(error);
      }
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 }));
}

// Timers are early and late by some of their time.
const NEARLY = 0.95;

/** An SDK that gives up aborts as its user does; by its own clock it was the former. */
export function verdictOfAbort(signal, begunMs, timeoutMs) {
  const isTimeout = signal.reason?.name === 'TimeoutError' || performance.now() - begunMs >= timeoutMs * NEARLY;
  const outcome = isTimeout ? 'timeout' : 'cancelled';
  return { outcome, told: outcome, retryAfterMs: 0, text: isTimeout ? 'timeout' : '' };
}

/** One request, as it is asked for. */
class Exchange {
  constructor(service, tokens, maxRetries, timeout, headers, signal) {
    Object.assign(this, { service, tokens, maxRetries, signal, begun: performance.now() });
    const count = headers.get(COUNT);
    this.isSdk = count !== null && /^\d{1,3}$/.test(count);
    this.attempt = this.isSdk ? Number(count) + 1 : 1;
    const said = headers.get(TIMEOUT);
    this.timeoutMs = timeout ?? (said !== null && /^\d{1,6}$/.test(said) ? Number(said) * 1000 : ATTEMPT_TIMEOUT_MS);
  }

  get mayRetry() {
    return this.isSdk && this.attempt <= this.maxRetries;
  }

  /** A refusal, or null: it may be made. */
  async begin() {
    const { service, attempt } = this;
    if (attempt === 1) {
      this.permit = await service.acquire();
    } else {
      let token = this.tokens.take(service, attempt);
      if (token === null) {
        // The failure before it was not seen here, or the SDK may retry more often.
        token = await service.transport.retry(service.name, attempt - 1, 'failure');
        if (!token.granted && token.reason !== 'unavailable') return refusal(service.exhausted(token), 'retry_denied');
      }
      this.permit = token.granted ? await service.admitted(attempt, token, { signal: this.signal }) : await service.acquire();
    }
    this.started = performance.now();
    return this.permit.allowed ? null : refusal(service.denied(this.permit), 'circuit_open');
  }

  async broken(error) {
    const verdict = this.signal?.aborted ? verdictOfAbort(this.signal, this.begun, this.timeoutMs) : classifyError(error);
    const token = await this.#ask(verdict);
    this.service.tell(this.permit, verdict, this.started, { willRetry: token?.granted, attempt: this.attempt });
    if (token === null || token.granted || token.reason === 'unavailable') throw error;
    return refusal(this.service.exhausted(token, error), 'retry_denied');
  }

  async answered(response) {
    if (response.status < 400) {
      this.service.tell(this.permit, classifyHttp(response.status, response.headers), this.started);
      return watched(response, (error) => {
        if (!this.signal?.aborted) this.service.tell(null, classifyError(error), this.started, { attempt: this.attempt });
      });
    }
    const verdict = classifyHttp(response.status, response.headers, await beginning(response));
    const isRetried = sdkRetries(response.status, response.headers.get('x-should-retry'));
    const token = isRetried ? await this.#ask(verdict) : null;
    this.service.tell(this.permit, verdict, this.started, { willRetry: token?.granted, attempt: this.attempt });
    if (!isRetried || !this.mayRetry || token?.reason === 'unavailable') return response;
    const headers = new Headers(response.headers);
    headers.set('x-should-retry', String(Boolean(token?.granted)));
    if (token?.granted) headers.set('retry-after-ms', String(token.delayMs));
    return rebuilt(response, response.body, headers);
  }

  /** The token of the SDK's next attempt; null: none was asked for. */
  async #ask(verdict) {
    if (!this.mayRetry || !RETRYABLE.has(verdict.outcome)) return null;
    const token = await this.service.askRetry(this.permit, this.attempt, verdict);
    if (token.granted) this.tokens.keep(this.service, this.attempt + 1, token);
    return token;
  }
}

/**
 * A fetch for the `fetch` option of SDKs, or to call. `target`: a service, its name,
 * or { host: service }; without one every host is a service.
 */
export function governedFetch(target, { fetch: inner = globalThis.fetch, breaker, maxRetries = SDK_RETRIES, timeout } = {}) {
  const serviceOf = finder(target, breaker);
  const tokens = new Tokens();

  return async function fetch(input, init) {
    const request = input instanceof Request ? input : null;
    const headers = new Headers(init?.headers ?? request?.headers);
    const signal = init?.signal ?? request?.signal;
    signal?.throwIfAborted();
    const exchange = new Exchange(serviceOf(request?.url ?? input), tokens, maxRetries, timeout, headers, signal);
    const refused = await exchange.begin();
    if (refused) return refused;
    let response;
    try {
      response = await inner(input, init);
    } catch (error) {
      return exchange.broken(error);
    }
    return exchange.answered(response);
  };
}
