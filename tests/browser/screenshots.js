// SPDX-License-Identifier: Apache-2.0
// Draws the pictures of docs/web.md: a fleet with a circuit that has tripped, one
// that is healing, one held and one that an operator shut.
//
// usage: node screenshots.js FOLDER
import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { pause } from '../node/harness.js';
import { closeBrowser, Stage } from './stage.js';

const CONFIG = `
[service gpt-4]
recovery_timeout = 60s
[service gpt-4o-mini]
recovery_timeout = 300ms
half_open_max_calls = 2
success_threshold = 3
[service mistral-large]
recovery_timeout = 200ms
success_threshold = 1
ramp = 10m
[service claude-sonnet]
failure_rate = 50%
minimum_calls = 200
[service embeddings]
window = 100calls
failure_rate = 30%
[service ollama/llama3]
max_concurrent = 8
`;
const QUIET = ['bing-search', 'postgres@replica', 'redis/cache', 's3:uploads', 'sendgrid', 'twilio', 'weather.gov'];
const OCTETS_MAX = 150 * 1024;

/** Traffic of half a minute: most succeeds, gpt-4 and a few others do not. */
async function play(stage) {
  const worker = (name) => `HELLO 1 ${name} ${process.pid}`;
  const report = (service, outcome, rest = '120000 1') => `REPORT ${service} 0 - ${outcome} ${rest}`;
  const many = (count, line) => Array(count).fill(line);
  await stage.ctl('raw', worker('bot-3'), ...many(5, report('gpt-4o-mini', 'failure')), ...many(5, report('mistral-large', 'timeout')));
  await pause(400);
  await stage.ctl('run', 'mistral-large', '--', 'true');
  for (let turn = 0; turn < 9; turn++) {
    const wave = 6 + (turn * 7) % 5;
    await stage.ctl('raw', worker('bot-3'),
      ...QUIET.flatMap((name, i) => many(2 + (turn + i) % 4, report(name, 'success'))),
      ...many(wave + 5, report('gpt-4', 'success')), ...(turn > 3 ? many(turn - 3, report('gpt-4', 'failure', '812000 1 - 503 Service Unavailable')) : []),
      ...(turn > 3 ? [report('gpt-4', 'success')] : []),
      ...many(wave, report('claude-sonnet', 'success')), ...many(turn % 3, report('claude-sonnet', 'failure', '30000 1 - 529 overloaded')),
      ...many(9, report('embeddings', 'success')), ...(turn % 4 ? [] : [report('embeddings', 'timeout')]),
      ...many(wave * 2, report('ollama/llama3', 'success')), ...many(4, report('discord.com/api', 'success')));
    if (turn < 8) await pause(6000);
  }
  await stage.ctl('raw', worker('bot-7'), ...many(3, report('gpt-4', 'failure', '812000 1 - 503 Service Unavailable')), ...many(2, report('gpt-4', 'timeout', '30000000 1 - no answer')));
  await stage.ctl('raw', report('discord.com/api', 'rate_limited', '80000 1 42000'));
  await stage.ctl('trip', 'stripe', '--for', '25m', '--reason', 'planned maintenance at the bank');
  await stage.ctl('observe', 'elevenlabs', '--reason', 'trying it out');
}

async function draw(stage, folder, name, options, address = '') {
  const page = await stage.page(options, address);
  await page.locator('.name', { hasText: 'gpt-4o-mini' }).waitFor();
  await pause(1200);
  const file = path.join(folder, `${name}.png`);
  await page.screenshot({ path: file });
  const { size } = statSync(file);
  console.log(`${file}: ${Math.ceil(size / 1024)} KiB`);
  if (size > OCTETS_MAX) throw new Error(`${file} is larger than ${OCTETS_MAX} octets`);
}

const [folder] = process.argv.slice(2);
if (!folder) throw new Error('usage: node screenshots.js FOLDER');
mkdirSync(folder, { recursive: true });
const stage = await new Stage().open(CONFIG);
try {
  await play(stage);
  const wide = { viewport: { width: 1280, height: 720 } };
  await draw(stage, folder, 'web-light', { ...wide, colorScheme: 'light' });
  await draw(stage, folder, 'web-dark', { ...wide, colorScheme: 'dark' }, '#gpt-4');
  await draw(stage, folder, 'web-narrow', { viewport: { width: 400, height: 820 }, colorScheme: 'light' });
} finally {
  await stage.close();
  await closeBrowser();
}
