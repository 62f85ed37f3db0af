// SPDX-License-Identifier: Apache-2.0
// discord.js: a makeRequest for its REST client, which tries again at once what
// failed with 5xx and by itself what was limited. Two gates: the service, and
// NAME:invalid, which opens before Discord bans the address: 10,000 requests that
// it refuses with 401, 403 or 429 (but a shared limit's) within ten minutes do that.
import { classifyError, classifyHttp, RETRYABLE } from './classify.js';
import { sleep } from './breaker.js';
import { verdictOfAbort } from './fetch.js';
import { finder } from './hosts.js';
import { optional } from './load.js';

const INVALID = new Set([401, 403, 429]);
// discord.js's own, when nothing is set.
const RETRIES = 3;
const TIMEOUT_MS = 15000;

const isInvalid = (status, headers) =>
  INVALID.has(status) && (status !== 429 || headers.get('x-ratelimit-scope')?.toLowerCase() !== 'shared');

/** The fleet's count of invalid requests: while it is closed it is told nothing else. */
class InvalidGate {
  #isConfigured = null;

  constructor(service) {
    this.service = service;
  }

  async take() {
    this.#isConfigured ??= this.#look();
    return (await this.#isConfigured) ? this.service.acquire() : null;
  }

  // With the defaults of any service it would open at five failures.
  async #look() {
    const document = await this.service.transport.config(this.service.name);
    const threshold = document?.config?.failure_threshold?.value;
    if (threshold === undefined) {
      this.#isConfigured = null; // nobody answers: asked again with the next request
      return false;
    }
    if (Number(threshold) === 0) return true;
    process.emitWarning(`invalid requests are not counted: breakerd has no [service ${this.service.name}] with ` +
      'failure_threshold = 0 (see examples/discord.conf)', 'BreakerWarning');
    return false;
  }

  told(permit, isBad) {
    if (permit === null) return;
    if (isBad) this.service.recordFailure(permit);
    else if (permit.id > 0 && isBad === false) this.service.recordSuccess(permit); // a probe: valid is what it waits for
    else this.service.release(permit);
  }
}

/** What is known of a request between its attempts; its headers are its identity. */
class Requests {
  #known = new WeakMap();

  of(init) {
    let request = this.#known.get(init.headers);
    if (request === undefined) {
      request = { attempt: 0, failures: 0, token: null, notBefore: 0, denied: null };
      this.#known.set(init.headers, request);
    }
    request.attempt++;
    return request;
  }
}

async function asResponse(answer) {
  if (answer instanceof Response) return answer;
  const { status, statusText, headers } = answer;
  const body = [204, 205, 304].includes(status) ? null : await answer.arrayBuffer();
  return new Response(body, { status, statusText: statusText ?? '', headers: [...headers] });
}

/**
 * `new Client({ rest: { makeRequest: governedRest('discord') } })`. What may not be
 * sent is thrown as CircuitOpen or RetryBudgetExhausted, which discord.js passes on.
 */
export function governedRest(target = 'discord', { request: inner, breaker, retries = RETRIES, timeout = TIMEOUT_MS } = {}) {
  const send = inner ?? (optional('@discordjs/rest') ?? optional('discord.js'))?.makeRequest ?? globalThis.fetch;
  const service = finder(target, breaker)();
  const gate = new InvalidGate(service.breaker.service(`${service.name}:invalid`));
  const requests = new Requests();

  async function admitted(request, signal) {
    if (request.denied) throw request.denied;
    const { token } = request;
    request.token = null;
    if (token !== null) {
      try {
        await sleep(Math.max(0, request.notBefore - performance.now()), signal);
      } catch (aborted) {
        service.transport.releaseToken(token);
        throw aborted;
      }
    }
    const permit = token === null ? await service.acquire() : await service.admitted(request.attempt, token, { signal });
    if (!permit.allowed) throw service.denied(permit);
    return permit;
  }

  // Asks at once whether discord.js's next attempt may be made.
  async function mayFollow(request, permit, verdict, willRetry) {
    if (!willRetry || !RETRYABLE.has(verdict.outcome)) return false;
    const token = await service.askRetry(permit, request.attempt, verdict);
    if (token.granted) {
      request.token = token;
      request.notBefore = performance.now() + token.delayMs;
    } else if (token.reason !== 'unavailable') {
      request.denied = service.exhausted(token, new Error(verdict.text));
    }
    return token.granted;
  }

  return async function makeRequest(url, init) {
    const request = requests.of(init);
    const { signal } = init;
    const begun = performance.now();
    const gatePermit = await gate.take();
    if (gatePermit && !gatePermit.allowed) throw gate.service.denied(gatePermit);
    let permit;
    try {
      permit = await admitted(request, signal);
    } catch (error) {
      gate.told(gatePermit, null);
      throw error;
    }
    const started = performance.now();
    let response;
    try {
      response = await send(url, init);
      if (response.status >= 400) response = await asResponse(response);
    } catch (error) {
      gate.told(gatePermit, null);
      const verdict = signal?.aborted ? verdictOfAbort(signal, begun, timeout) : classifyError(error);
      // It tries an abort and a reset connection again, as often as a 5xx.
      const willRetry = (signal?.aborted || error.code === 'ECONNRESET') && request.failures++ < retries;
      const isFollowed = await mayFollow(request, permit, verdict, willRetry);
      service.tell(permit, verdict, started, { willRetry: isFollowed, attempt: request.attempt });
      throw error;
    }
    gate.told(gatePermit, isInvalid(response.status, response.headers));
    const text = response.status >= 400 ? await response.clone().text() : '';
    const verdict = classifyHttp(response.status, response.headers, text);
    const willRetry = response.status === 429 || (response.status >= 500 && request.failures++ < retries);
    const isFollowed = await mayFollow(request, permit, verdict, willRetry);
    service.tell(permit, verdict, started, { willRetry: isFollowed, attempt: request.attempt });
    return response;
  };
}
