// SPDX-License-Identifier: Apache-2.0
// What the compiler says of a program in TypeScript; never run.
import Anthropic from '@anthropic-ai/sdk';
import { Client, REST } from 'discord.js';
import OpenAI from 'openai';
import { Breaker, CircuitOpen, governedFetch, governedRest, RetryBudgetExhausted } from '../../client/node/index.js';

const breaker = new Breaker({ worker: 'bot', transport: 'auto' });
const llm = breaker.service('llm');
new OpenAI({ fetch: governedFetch('openai') });
new Anthropic({ fetch: governedFetch(llm, { maxRetries: 1 }) });
new OpenAI({ fetch: governedFetch({ 'api.openai.com': llm, 'localhost:8080': 'local' }) });
new REST({ makeRequest: governedRest('discord') });
new Client({ intents: [], rest: { makeRequest: governedRest() } });

const text: string = await llm.call(async () => 'hello');
const either: string | number = await llm.call(() => 'hello', { fallback: (e) => e.retryAfterMs });
const add: (a: number, b: number) => Promise<number> = llm.guard((a: number, b: number) => a + b);
const answer: Response = await llm.retrying(({ attempt, signal }) => fetch(`http://x/${attempt}`, { signal }), { max: 3, deadline: 20000 });
const permit = await llm.allow();
if (permit) llm.recordFailure(permit, 'timeout', 12);
// @ts-expect-error: outcomes are words of the protocol
llm.call(() => 1, { classify: () => 'bad' });
// @ts-expect-error: there are three transports
new Breaker({ transport: 'http' });
export const all = [text, either, add, answer, CircuitOpen, RetryBudgetExhausted];
