// SPDX-License-Identifier: Apache-2.0
// One bot of the demonstration: calls one SDK at even times and prints, as JSON,
// what its user saw. Its one line for breakerd is the hook.
import { AsyncLocalStorage } from 'node:async_hooks';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Breaker, governedFetch, governedRest } from '../../client/node/index.js';

const require = createRequire(new URL('../../tests/node/package.json', import.meta.url));
const order = JSON.parse(process.argv[2]);
// How long calls may go on after the last has begun.
const PATIENCE_MS = 10000;

const told = { wanted: 0, answered: 0, failed: 0, refused: 0, again: 0 };
const calls = new AsyncLocalStorage();

/** The hook, watched: does an SDK come back for a call that was refused? */
function watched(hook) {
  return async (...request) => {
    const call = calls.getStore();
    if (call.isRefused) told.again++;
    try {
      const answer = await hook(...request);
      // The upstream of this demonstration says 200 or 502.
      if (answer.status === 503) call.isRefused = true;
      return answer;
    } catch (error) {
      if (error.name === 'CircuitOpen') call.isRefused = true;
      throw error;
    }
  };
}

const breaker = order.governed ? new Breaker({ worker: order.name }) : null;
const fetchHook = breaker ? watched(governedFetch(order.service, { breaker })) : undefined;

const CLIENTS = {
  openai() {
    const OpenAI = require('openai');
    const client = new OpenAI({ apiKey: 'none', baseURL: `${order.url}/openai`, fetch: fetchHook });
    return () => client.chat.completions.create({ model: 'm', messages: [{ role: 'user', content: 'hello' }] });
  },
  anthropic() {
    const Anthropic = require('@anthropic-ai/sdk');
    const client = new Anthropic({ apiKey: 'none', baseURL: `${order.url}/anthropic`, fetch: fetchHook });
    return () => client.messages.create({ model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'hello' }] });
  },
  discord() {
    const { REST, Routes } = require('discord.js');
    const hook = breaker ? { makeRequest: watched(governedRest(order.service, { breaker })) } : {};
    const rest = new REST({ version: '10', api: `${order.url}/discord`, ...hook }).setToken('none');
    return () => rest.post(Routes.channelMessages('1'), { body: { content: 'hello' } });
  },
};

async function one(ask) {
  const call = { isRefused: false };
  told.wanted++;
  try {
    await calls.run(call, ask);
    told.answered++;
  } catch {
    told[call.isRefused ? 'refused' : 'failed']++;
  }
}

const ask = CLIENTS[order.sdk]();
console.log('ready');
const { value: startAt } = await createInterface({ input: process.stdin })[Symbol.asyncIterator]().next();
const under = [];
for (let i = 0; i < order.durationMs / order.everyMs; i++) {
  await sleep(Math.max(0, Number(startAt) + order.offsetMs + i * order.everyMs - Date.now()));
  under.push(one(ask));
}
await Promise.race([Promise.all(under), sleep(PATIENCE_MS, null, { ref: false })]);
await breaker?.close();
process.stdout.write(`${JSON.stringify(told)}\n`, () => process.exit(0));
