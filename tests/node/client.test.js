// SPDX-License-Identifier: Apache-2.0
// The client against a real daemon, over both transports.
import assert from 'node:assert/strict';
import test from 'node:test';
import { Breaker, CircuitOpen, RetryBudgetExhausted } from '../../client/node/index.js';
import { finder } from '../../client/node/hosts.js';
import { breakerFor, daemonFor, pause, until, withBoth } from './harness.js';

const CONFIG = `
[defaults]
failure_threshold = 3
recovery_timeout = 400ms
success_threshold = 1
base_delay = 5ms
[service poor]
retry_ratio = 0
retry_min_per_sec = 0
[service one]
max_attempts = 1
`;
const boom = () => { throw Object.assign(new Error('upstream'), { code: 'ECONNREFUSED' }); };

withBoth(test, 'opens for the fleet, probes and closes', async (t, transport) => {
  const daemon = await daemonFor(t, CONFIG);
  const a = (await breakerFor(daemon, { transport })).service('llm');
  const b = (await breakerFor(daemon, { transport })).service('llm');
  assert.equal(await a.call(() => 42), 42);
  for (let i = 0; i < 3; i++) await assert.rejects(a.call(boom), { code: 'ECONNREFUSED' });
  await until(async () => (await b.status()).state === 'open', 'the circuit to open');
  const error = await b.call(() => 1).catch((e) => e);
  assert.ok(error instanceof CircuitOpen, String(error));
  assert.equal(error.reason, 'open');
  assert.ok(error.retryAfterMs > 0 && error.retryAfterMs <= 400, `${error.retryAfterMs}`);
  assert.equal(await b.call(() => 1, { fallback: (e) => e.reason }), 'open');
  await until(() => b.call(() => true, { fallback: () => false }), 'a probe');
  await until(async () => (await a.status()).state === 'closed', 'the circuit to close');
  assert.equal(await a.guard((x, y) => x + y)(1, 2), 3);
});

withBoth(test, 'what was told is counted', async (t, transport) => {
  const daemon = await daemonFor(t, '[defaults]\nfailure_threshold = 0\n');
  const breaker = await breakerFor(daemon, { transport });
  const s = breaker.service('counted');
  await s.call(() => 1);
  await assert.rejects(s.call(() => { throw Object.assign(new Error(), { name: 'TimeoutError' }); }));
  await assert.rejects(s.call(() => { throw Object.assign(new Error(), { name: 'AbortError' }); }));
  await assert.rejects(s.call(() => { throw Object.assign(new Error('quota'), { status: 404, headers: new Headers() }); }));
  await assert.rejects(s.call(() => { throw new Error(); }, { classify: () => 'critical' }));
  s.recordSuccess();
  s.recordFailure(null, 'timeout');
  s.recordSuccess(await s.allow(), 3);
  s.release(await s.allow());
  await until(async () => (await s.status()).counters.success === 3, 'the counters');
  // What was decided from shared memory is told at the latest now.
  await breaker.close();
  const { counters } = await (await breakerFor(daemon, { transport })).service('counted').status();
  assert.equal(counters.allowed, 7);
  assert.equal(counters.timeout, 2);
  assert.equal(counters.cancelled, 1);
  assert.equal(counters.rejected, 1);
  assert.equal(counters.critical, 1);
});

withBoth(test, 'retries take tokens of the fleet', async (t, transport) => {
  const daemon = await daemonFor(t, CONFIG);
  const breaker = await breakerFor(daemon, { transport });
  const s = breaker.service('retried');
  const attempts = [];
  const value = await s.retrying(({ attempt }) => {
    attempts.push(attempt);
    return attempt < 3 ? boom() : 'done';
  });
  assert.equal(value, 'done');
  assert.deepEqual(attempts, [1, 2, 3]);
  assert.equal((await s.status()).retry_budget.granted, 2);
  let calls = 0;
  await assert.rejects(s.retrying(() => { calls++; boom(); }, { max: 2 }), { code: 'ECONNREFUSED' });
  assert.equal(calls, 2);
  const poor = await breaker.service('poor').retrying(boom).catch((e) => e);
  assert.ok(poor instanceof RetryBudgetExhausted, String(poor));
  assert.equal(poor.cause.code, 'ECONNREFUSED');
  await assert.rejects(breaker.service('one').retrying(boom), { code: 'ECONNREFUSED' });
  // An answer of HTTP is judged, and what is returned last.
  const answer = { status: 503, headers: new Headers() };
  calls = 0;
  assert.equal(await breaker.service('http').retrying(() => { calls++; return answer; }), answer);
  assert.equal(calls, 3);
});

withBoth(test, 'a route names the service to call', async (t, transport) => {
  const daemon = await daemonFor(t, `${CONFIG}[service first]\n[service second]\n[route chat]\nservices = first, second\n`);
  const breaker = await breakerFor(daemon, { transport });
  const chat = breaker.service('chat');
  const made = [];
  const value = await chat.retrying(({ service, attempt }) => {
    made.push(service);
    return attempt < 2 ? boom() : service;
  });
  assert.equal(value, 'first');
  for (let i = 0; i < 3; i++) breaker.service('first').recordFailure();
  await until(async () => (await breaker.service('first').status()).state === 'open', 'the circuit to open');
  assert.equal(await chat.call(({ service }) => service), 'second');
  await until(async () => (await breaker.service('second').status()).counters.success === 1, 'the report');
  assert.deepEqual(made, ['first', 'first']);
});

withBoth(test, 'with a deadline an open circuit is waited for', async (t, transport) => {
  const daemon = await daemonFor(t, CONFIG);
  const s = (await breakerFor(daemon, { transport })).service('waited');
  for (let i = 0; i < 3; i++) s.recordFailure();
  await until(async () => (await s.status()).state === 'open', 'the circuit to open');
  await assert.rejects(s.retrying(() => 1), CircuitOpen);
  assert.equal(await s.retrying(() => 'waited', { deadline: 20000 }), 'waited');
  for (let i = 0; i < 3; i++) s.recordFailure();
  await until(async () => (await s.status()).state === 'open', 'the circuit to open');
  await assert.rejects(s.retrying(() => 1, { deadline: 20000, signal: AbortSignal.timeout(10) }), { name: 'TimeoutError' });
});

withBoth(test, 'a hold is the whole fleet\'s', async (t, transport) => {
  const daemon = await daemonFor(t, CONFIG);
  const a = (await breakerFor(daemon, { transport })).service('held');
  const b = (await breakerFor(daemon, { transport })).service('held');
  await assert.rejects(a.call(() => { throw Object.assign(new Error(), { status: 429, headers: new Headers({ 'retry-after': '30' }) }); }));
  const denied = await until(() => b.call(() => null, { fallback: (e) => e }), 'the hold');
  assert.equal(denied.reason, 'rate_limited');
  assert.ok(denied.retryAfterMs > 25000);
});

withBoth(test, 'a lease is renewed and given back', async (t, transport) => {
  const daemon = await daemonFor(t, '[service leased]\nmax_concurrent = 1\n');
  const s = (await breakerFor(daemon, { transport })).service('leased');
  const permit = await s.allow();
  assert.ok(permit.id > 0);
  assert.equal(await s.allow(), null);
  assert.equal(await s.renew(permit, 1000), true);
  s.release(permit);
  await until(async () => {
    const again = await s.allow();
    if (again) s.recordSuccess(again);
    return again;
  }, 'the permit');
});

withBoth(test, 'bad names and options are refused in words', async (t, transport) => {
  const daemon = await daemonFor(t);
  const breaker = await breakerFor(daemon, { transport });
  assert.throws(() => breaker.service('no such, name'), /1 to 63/);
  assert.equal(breaker.service('a'), breaker.service('a'));
});

withBoth(test, 'a mistake of the program is said, and leaves no permit behind', async (t, transport) => {
  const daemon = await daemonFor(t, '[service one]\nmax_concurrent = 1\n');
  const breaker = await breakerFor(daemon, { transport });
  const one = breaker.service('one');
  const fails = () => { throw new Error('upstream'); };
  await assert.rejects(one.call(fails, { classify: () => 'bogus' }), /no such outcome: bogus; one of success/);
  await assert.rejects(one.call(fails, { classify: () => { throw new RangeError('mine'); } }), /mine/);
  const permit = await until(() => one.allow(), 'a permit of the only one');
  assert.throws(() => one.recordFailure(permit, 'bogus'), TypeError);
  one.recordSuccess(permit, NaN);
  await until(async () => (await one.status()).counters.success === 1, 'the counters');
  for (const name of ['a b', 'x\0y', '', '-', undefined, 'x'.repeat(64)]) assert.throws(() => breaker.service(name), /1 to 63 of/);
  for (const deadlineMs of [-1, 0, 60001, 'x']) assert.throws(() => new Breaker({ dir: daemon.dir, transport, deadlineMs }), /deadlineMs is 1 to 60000/);
});

withBoth(test, 'what is told while others are being sent is sent too', async (t, transport) => {
  const daemon = await daemonFor(t, '');
  const s = (await breakerFor(daemon, { transport, deadlineMs: 20000 })).service('busy');
  const eye = (await breakerFor(daemon, { transport: 'wire' })).service('busy');
  const tell = () => { for (let i = 0; i < 3; i++) s.recordSuccess(); };
  // One is sent, the others wait for it, and then for the daemon.
  daemon.process.kill('SIGSTOP');
  tell();
  await pause(50);
  daemon.process.kill('SIGCONT');
  // The loop is busy while they arrive: it cannot know that they have.
  for (const end = performance.now() + 300; performance.now() < end;);
  tell();
  await until(async () => (await eye.status())?.counters.success === 6, 'six successes');
});

test('hosts are named as in Python', () => {
  const of = finder({ 'llm.internal:8080': 'llm', 'mail.internal': 'mail' }, new Breaker({ transport: 'none' }));
  const names = ['https://API.OpenAI.com/v1', 'https://api.openai.com.:443/', 'http://llm.internal:8080/', 'http://llm.internal/',
    'http://mail.internal:25/', 'http://[::1]:80/', 'http://[::1]:81/'].map((url) => of(url).name);
  assert.deepEqual(names, ['openai', 'openai', 'llm', 'llm.internal', 'mail', '::1', '::1:81']);
});
