// SPDX-License-Identifier: Apache-2.0
// Real SDKs, as their users have them, behind governedFetch.
import assert from 'node:assert/strict';
import test from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { governedFetch } from '../../client/node/index.js';
import { answerJson, breakerFor, daemonFor, until, upstreamFor, withBoth } from './harness.js';

const CONFIG = `
[defaults]
failure_threshold = 4
recovery_timeout = 60s
base_delay = 5ms
[service broke]
retry_ratio = 0
retry_min_per_sec = 0
[service patient]
failure_threshold = 0
`;
const COMPLETION = { id: '1', object: 'chat.completion', choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'hello' } }] };
const MESSAGE = { id: '1', type: 'message', role: 'assistant', content: [{ type: 'text', text: 'hello' }], stop_reason: 'end_turn' };

const SDKS = [
  ['openai', (baseURL, fetch, more) => {
    const client = new OpenAI({ apiKey: 'k', baseURL, fetch, ...more });
    return (options) => client.chat.completions.create({ model: 'm', messages: [] }, options);
  }, COMPLETION],
  ['anthropic', (baseURL, fetch, more) => {
    const client = new Anthropic({ apiKey: 'k', baseURL, fetch, ...more });
    return (options) => client.messages.create({ model: 'm', max_tokens: 5, messages: [] }, options);
  }, MESSAGE],
];

function withSdks(name, body) {
  for (const [sdk, make, good] of SDKS) withBoth(test, `${sdk}: ${name}`, (t, transport) => body(t, transport, make, good));
}

withSdks('its retries are the fleet\'s, and stop when the circuit opens', async (t, transport, make, good) => {
  const daemon = await daemonFor(t, CONFIG);
  const service = (await breakerFor(daemon, { transport })).service('llm');
  let isDown = false;
  const upstream = await upstreamFor(t, (_, response) => (isDown ? answerJson(response, 503, {}) : answerJson(response, 200, good)));
  const ask = make(upstream.url, governedFetch(service));
  assert.equal((await ask()).id, '1');
  isDown = true;
  // Three attempts, then one: the fourth failure in a row opens the circuit.
  await assert.rejects(ask(), { status: 503 });
  assert.equal(upstream.hits, 4);
  assert.deepEqual(upstream.requests.slice(1).map((r) => r.headers['x-stainless-retry-count']), ['0', '1', '2']);
  await assert.rejects(ask(), { status: 503 });
  assert.equal(upstream.hits, 5);
  for (let i = 0; i < 5; i++) {
    const error = await ask().catch((e) => e);
    assert.equal(error.status, 503);
    assert.equal(error.headers.get('x-should-retry'), 'false');
    assert.match(String(error.message), /may not be called now: open/);
    assert.ok(Number(error.headers.get('retry-after')) > 30);
  }
  assert.equal(upstream.hits, 5, 'no hit while open');
  const { counters, retry_budget } = await service.status();
  // The third went back when the circuit was found open.
  assert.equal(retry_budget.granted, 3);
  assert.equal(counters.failure, 4);
});

withSdks('without a budget it does not retry', async (t, transport, make) => {
  const daemon = await daemonFor(t, CONFIG);
  const service = (await breakerFor(daemon, { transport })).service('broke');
  const upstream = await upstreamFor(t, (_, response) => answerJson(response, 500, {}));
  const ask = make(upstream.url, governedFetch(service));
  const error = await ask().catch((e) => e);
  assert.equal(error.status, 500);
  assert.equal(error.headers.get('x-should-retry'), 'false');
  assert.equal(upstream.hits, 1);
});

withSdks('a Retry-After holds the fleet', async (t, transport, make, good) => {
  const daemon = await daemonFor(t, CONFIG);
  const a = await breakerFor(daemon, { transport });
  const b = await breakerFor(daemon, { transport });
  const upstream = await upstreamFor(t, (_, response, hit) => (hit === 1
    ? answerJson(response, 429, { error: { type: 'rate_limit_error' } }, { 'retry-after': '1' }) : answerJson(response, 200, good)));
  const ask = make(upstream.url, governedFetch(a.service('held')));
  const began = performance.now();
  const answer = ask();
  const held = await until(() => b.service('held').call(() => null, { fallback: (e) => e }), 'the hold');
  assert.equal(held.reason, 'rate_limited');
  assert.equal((await answer).id, '1');
  assert.ok(performance.now() - began >= 990, 'it waited as it was asked to');
  assert.equal(upstream.hits, 2);
});

withSdks('what money ran out for is not tried again', async (t, transport, make) => {
  const daemon = await daemonFor(t, CONFIG);
  const service = (await breakerFor(daemon, { transport })).service('money');
  const upstream = await upstreamFor(t, (_, response) => answerJson(response, 429, { error: { code: 'insufficient_quota', type: 'insufficient_quota' } }));
  await assert.rejects(make(upstream.url, governedFetch(service))(), { status: 429 });
  assert.equal(upstream.hits, 1);
  await until(async () => (await service.status()).counters.critical === 1, 'the report');
});

withSdks('its own timeout is one, its user\'s abort is not', async (t, transport, make) => {
  const daemon = await daemonFor(t, CONFIG);
  const service = (await breakerFor(daemon, { transport })).service('patient');
  const upstream = await upstreamFor(t, () => {}); // never answers
  await assert.rejects(make(upstream.url, governedFetch(service, { maxRetries: 0, timeout: 1000 }), { timeout: 1000, maxRetries: 0 })());
  const controller = new AbortController();
  const asked = make(upstream.url, governedFetch(service), { timeout: 60000 })({ signal: controller.signal });
  await until(() => upstream.hits === 2, 'the request');
  controller.abort();
  await assert.rejects(asked);
  const counters = await until(async () => {
    const told = (await service.status()).counters;
    return told.timeout + told.cancelled === 2 ? told : null;
  }, 'the reports');
  assert.equal(counters.timeout, 1);
});

withBoth(test, 'openai: a stream that breaks off counts', async (t, transport) => {
  const daemon = await daemonFor(t, CONFIG);
  const service = (await breakerFor(daemon, { transport })).service('patient');
  const upstream = await upstreamFor(t, (_, response, hit) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`data: ${JSON.stringify({ id: '1', choices: [{ index: 0, delta: { content: 'he' } }] })}\n\n`);
    if (hit === 1) response.end('data: [DONE]\n\n');
    else setTimeout(() => response.destroy(), 50);
  });
  const client = new OpenAI({ apiKey: 'k', baseURL: upstream.url, fetch: governedFetch(service) });
  const read = async () => {
    let text = '';
    for await (const part of await client.chat.completions.create({ model: 'm', messages: [], stream: true })) text += part.choices[0].delta.content;
    return text;
  };
  assert.equal(await read(), 'he');
  await assert.rejects(read());
  await until(async () => {
    const { counters } = await service.status();
    return counters.success === 2 && counters.failure === 1;
  }, 'both verdicts');
});

withBoth(test, 'an upstream that is not there counts, and is tried again on account', async (t, transport) => {
  const daemon = await daemonFor(t, CONFIG);
  const breaker = await breakerFor(daemon, { transport });
  let calls = 0;
  const inner = (...args) => { calls++; return fetch(...args); };
  const client = new OpenAI({ apiKey: 'k', baseURL: 'http://127.0.0.1:9', fetch: governedFetch(breaker.service('gone'), { fetch: inner }) });
  await assert.rejects(client.models.list());
  await assert.rejects(client.models.list());
  assert.equal(calls, 4, 'the fourth opened the circuit');
});

withBoth(test, 'plain fetch, services by host', async (t, transport) => {
  const daemon = await daemonFor(t, CONFIG);
  const breaker = await breakerFor(daemon, { transport });
  const upstream = await upstreamFor(t, (_, response) => answerJson(response, 500, { error: 'x' }));
  const host = new URL(upstream.url).host;
  const ask = governedFetch({ [host]: 'named' }, { breaker });
  for (let i = 0; i < 4; i++) {
    const answer = await ask(`${upstream.url}/path`, { method: 'POST', body: 'b' });
    assert.equal(answer.status, 500);
    assert.equal(answer.headers.get('x-should-retry'), null);
    assert.deepEqual(await answer.json(), { error: 'x' });
  }
  await until(async () => (await breaker.service('named').status()).state === 'open', 'the circuit to open');
  const refused = await ask(new Request(upstream.url));
  assert.equal(refused.status, 503);
  assert.equal((await refused.json()).error.type, 'circuit_open');
  assert.equal(upstream.hits, 4);
  assert.equal((await governedFetch(undefined, { breaker })(upstream.url)).status, 500);
  await until(async () => (await breaker.service(host).status())?.counters.failure === 1, 'the host\'s own service');
});
