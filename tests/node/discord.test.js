// SPDX-License-Identifier: Apache-2.0
// discord.js's own REST client behind governedRest.
import assert from 'node:assert/strict';
import test from 'node:test';
import { REST, Routes } from 'discord.js';
import { governedRest } from '../../client/node/index.js';
import { answerJson, breakerFor, daemonFor, until, upstreamFor, withBoth } from './harness.js';

const CONFIG = `
[defaults]
failure_threshold = 6
recovery_timeout = 60s
base_delay = 5ms
[service discord:invalid]
failure_threshold = 0
failure_rate = 100%
minimum_calls = 3
window = 10m
recovery_timeout = 10m
`;

async function clientFor(t, transport, answer, { config = CONFIG, options } = {}) {
  const daemon = await daemonFor(t, config);
  const breaker = await breakerFor(daemon, { transport });
  const upstream = await upstreamFor(t, answer);
  const rest = new REST({ version: '10', api: upstream.url, makeRequest: governedRest('discord', { breaker, ...options }), ...options }).setToken('t');
  t.after(() => rest.clearHandlerSweeper() ?? rest.clearHashSweeper());
  return { breaker, upstream, rest, service: breaker.service('discord') };
}

withBoth(test, 'messages and files go through', async (t, transport) => {
  const { upstream, rest, service } = await clientFor(t, transport, (_, response) => answerJson(response, 200, { id: '7' }));
  assert.deepEqual(await rest.post(Routes.channelMessages('1'), { body: { content: 'hello' } }), { id: '7' });
  const files = [{ name: 'a.txt', data: Buffer.from('attached') }];
  assert.deepEqual(await rest.post(Routes.channelMessages('1'), { body: { content: 'hello' }, files }), { id: '7' });
  assert.match(upstream.requests[1].headers['content-type'], /multipart\/form-data/);
  await until(async () => (await service.status())?.counters.success === 2, 'the reports');
});

withBoth(test, 'its retries are the fleet\'s, and stop when the circuit opens', async (t, transport) => {
  const { upstream, rest, service } = await clientFor(t, transport, (_, response) => answerJson(response, 500, {}));
  const first = await rest.get(Routes.gateway()).catch((e) => e);
  // The fleet's max_attempts is 3, discord.js would make 4.
  assert.equal(first.name, 'RetryBudgetExhausted');
  assert.equal(first.reason, 'max_attempts');
  assert.equal(upstream.hits, 3);
  await assert.rejects(rest.get(Routes.gateway()));
  assert.equal(upstream.hits, 6);
  await until(async () => (await service.status()).state === 'open', 'the circuit to open');
  for (let i = 0; i < 5; i++) await assert.rejects(rest.get(Routes.gateway()), { name: 'CircuitOpen', reason: 'open' });
  assert.equal(upstream.hits, 6);
  assert.ok((await service.status()).retry_budget.granted >= 4);
});

withBoth(test, 'a limit of one bucket is no trouble of the service\'s', async (t, transport) => {
  const { upstream, rest, service } = await clientFor(t, transport, (_, response, hit) => (hit === 1
    ? answerJson(response, 429, { message: 'limited', retry_after: 0.2, global: false },
      { 'retry-after': '1', 'x-ratelimit-bucket': 'b', 'x-ratelimit-scope': 'shared' })
    : answerJson(response, 200, { url: 'u' })));
  assert.deepEqual(await rest.get(Routes.gateway()), { url: 'u' });
  assert.equal(upstream.hits, 2);
  await until(async () => (await service.status()).counters.rejected === 1, 'the report');
  assert.equal((await service.status()).hold_ms, 0);
});

withBoth(test, 'invalid requests stop before Discord bans the address', async (t, transport) => {
  const { breaker, upstream, rest } = await clientFor(t, transport, (_, response) => answerJson(response, 403, { message: 'Missing Access', code: 50001 }));
  for (let i = 0; i < 3; i++) await assert.rejects(rest.get(Routes.gateway()), { status: 403 });
  await until(async () => (await breaker.service('discord:invalid').status()).state === 'open', 'the gate to close');
  await assert.rejects(rest.get(Routes.gateway()), { name: 'CircuitOpen', service: 'discord:invalid' });
  assert.equal(upstream.hits, 3);
});

withBoth(test, 'without its configuration the gate stays out of the way', async (t, transport) => {
  const { upstream, rest } = await clientFor(t, transport, (_, response) => answerJson(response, 403, { message: 'Missing Access', code: 50001 }), { config: '' });
  for (let i = 0; i < 8; i++) await assert.rejects(rest.get(Routes.gateway()), { status: 403 });
  assert.equal(upstream.hits, 8);
});

withBoth(test, 'a request that hangs is a timeout', async (t, transport) => {
  const { rest, service } = await clientFor(t, transport, () => {}, { options: { timeout: 150, retries: 0 } });
  await assert.rejects(rest.get(Routes.gateway()));
  await until(async () => (await service.status())?.counters.timeout === 1, 'the report');
});
