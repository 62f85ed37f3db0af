// SPDX-License-Identifier: Apache-2.0
// quickstart --sdk: bots made with the official SDKs of OpenAI and Anthropic, with
// discord.js and with discord.py, in processes of their own, against nginx, which
// has an outage; once on their own, once with breakerd's hooks.
//
//   node tools/sdk/demo.js --breakerd FILE --breakerctl FILE --library FILE
//                          [--duration SECONDS]
//
// Exit status 0 only when the outage met at most a tenth of the requests, no SDK
// tried again what was refused, and every circuit closed again.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Upstream } from './upstream.js';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.resolve(HERE, '../..');
// Seconds of each run that the upstream is well, before and after its outage.
const BEFORE_S = 3;
const AFTER_S = 5;
const EVERY_MS = 200;
const SETTLE_MS = 200;
const RATIO = 10;
const FLEET = [
  { sdk: 'openai', service: 'openai', label: 'openai', count: 2 },
  { sdk: 'anthropic', service: 'anthropic', label: 'anthropic', count: 2 },
  { sdk: 'discord', service: 'discord', label: 'discord.js', count: 2 },
  { sdk: 'python', service: 'discord', label: 'discord.py', count: 1 },
];
const SERVICES = [...new Set(FLEET.map((kind) => kind.service))];

const { values: options } = parseArgs({ options: {
  breakerd: { type: 'string' }, breakerctl: { type: 'string' }, library: { type: 'string' },
  duration: { type: 'string', default: '18' },
} });
for (const file of ['breakerd', 'breakerctl', 'library']) {
  if (!options[file]) throw new Error(`--${file} FILE is missing`);
  options[file] = path.resolve(options[file]);
}
const outageMs = (Number(options.duration) - BEFORE_S - AFTER_S) * 1000;
if (!(outageMs >= 2000)) throw new Error(`--duration takes ${BEFORE_S + AFTER_S + 2} seconds or more`);

// Whatever started here ends here, by its number.
const place = mkdtempSync(path.join(existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir(), 'breakerd-sdk.'));
const children = new Set();
function endAll() {
  for (const child of children) child.kill('SIGKILL');
  rmSync(place, { recursive: true, force: true });
}
process.on('exit', endAll);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(signal === 'SIGINT' ? 130 : 143));

const environment = { ...process.env, BREAKERD_DIR: path.join(place, 'run'), BREAKER_LIBRARY: options.library };
for (const name of Object.keys(environment)) if (/^(CIRCUIT_BREAKER_|RETRY_|LLM_RETRY_|BREAKERD_(?!DIR))/.test(name)) delete environment[name];

function start(program, args, spawnOptions) {
  const child = spawn(program, args, { env: environment, ...spawnOptions });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

const ctl = (...args) => execFileSync(options.breakerctl, args, { env: environment, encoding: 'utf8' });

async function startBreakerd() {
  const config = path.join(place, 'breakerd.conf');
  // Discord's gate as it is shipped; a circuit waits 1 s instead of 60, for this show.
  writeFileSync(config, `[defaults]\nrecovery_timeout = 1s\n${readFileSync(path.join(ROOT, 'examples/discord.conf'), 'utf8')}`);
  start(options.breakerd, ['--dir', environment.BREAKERD_DIR, '--db', path.join(place, 'breakerd.db'), '-c', config], { stdio: ['ignore', 'ignore', 'pipe'] })
    .stderr.resume();
  for (let i = 0; i < 100; i++) {
    try {
      execFileSync(options.breakerctl, ['raw', 'PING'], { env: environment, stdio: 'ignore' });
      return;
    } catch {
      await sleep(100);
    }
  }
  throw new Error('breakerd does not answer');
}

/** A worker that has said it is ready; begin(startAt) gives what it saw. */
async function startWorker(kind, order) {
  const line = JSON.stringify({ ...order, sdk: kind.sdk, service: kind.service, everyMs: EVERY_MS });
  // Modules are found from where tools/install-packages put them.
  const where = { cwd: path.join(ROOT, 'tests/node'), stdio: ['pipe', 'pipe', 'inherit'] };
  const child = kind.sdk === 'python'
    ? start('/usr/bin/python3', ['-B', path.join(HERE, 'bot.py'), line], where)
    : start(process.execPath, [path.join(HERE, 'worker.js'), line], where);
  const ended = once(child, 'close');
  const said = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const { value } = await said.next();
  if (value !== 'ready') throw new Error(`the worker of ${kind.label} did not start`);
  return async (startAt) => {
    child.stdin.end(`${startAt}\n`);
    const told = await said.next();
    const [code] = await ended;
    if (code !== 0 || told.done) throw new Error(`the worker of ${kind.label} ended with ${code}`);
    return { label: kind.label, ...JSON.parse(told.value) };
  };
}

async function run(upstream, governed) {
  const fleet = FLEET.flatMap((kind) => Array.from({ length: kind.count }, (_, i) => ({ kind, i })));
  const workers = await Promise.all(fleet.map(({ kind, i }, n) => startWorker(kind, {
    governed, url: upstream.url, durationMs: BEFORE_S * 1000 + outageMs + AFTER_S * 1000,
    offsetMs: Math.round((EVERY_MS * n) / fleet.length), name: `${kind.label}-${i + 1}`,
  })));
  upstream.begin();
  const startAt = Date.now() + SETTLE_MS;
  const outage = (async () => {
    await sleep(startAt + BEFORE_S * 1000 - Date.now());
    upstream.isDown = true;
    console.log(`  ${governed ? 'with breakerd' : 'on their own'}: the upstream is down`);
    await sleep(outageMs);
    upstream.isDown = false;
    console.log(`  ${governed ? 'with breakerd' : 'on their own'}: the upstream is well again`);
  })();
  const [told] = await Promise.all([Promise.all(workers.map((begin) => begin(startAt))), outage]);
  return { told, hits: upstream.hits() };
}

const sum = (list, key) => list.reduce((total, one) => total + one[key], 0);
const cell = (text, width = 10) => String(text).padStart(width);

function report(alone, governed) {
  const outage = ({ hits }, label) => hits.filter((hit) => hit.status === 502 && (!label || hit.sdk === label)).length;
  const all = ({ hits }, label) => hits.filter((hit) => !label || hit.sdk === label).length;
  console.log(`\n  Requests that reached the upstream\n\n${' '.repeat(16)}${cell('during its outage', 26)}${cell('in all', 26)}`);
  console.log(`${' '.repeat(16)}${['alone', 'breakerd'].map((w) => cell(w, 13)).join('')}${['alone', 'breakerd'].map((w) => cell(w, 13)).join('')}`);
  for (const label of [...FLEET.map((kind) => kind.label), null]) {
    const row = [outage(alone, label), outage(governed, label), all(alone, label), all(governed, label)];
    console.log(`  ${(label ?? 'together').padEnd(14)}${row.map((n) => cell(n, 13)).join('')}`);
  }
  const ratio = outage(alone) / Math.max(1, outage(governed));
  const again = sum(governed.told, 'again');
  const refused = sum(governed.told, 'refused');
  console.log(`\n  During the outage the upstream got 1 request where it had got ${ratio.toFixed(1)}.`);
  console.log(`  Calls refused at once: ${refused}. Of these an SDK tried again: ${again}.`);
  for (const [name, { told }] of [['alone', alone], ['breakerd', governed]]) {
    console.log(`  ${name.padEnd(9)} ${sum(told, 'wanted')} calls: ${sum(told, 'answered')} answered, ${sum(told, 'failed')} failed, ${sum(told, 'refused')} refused`);
  }
  return { ratio, again, refused };
}

const upstream = new Upstream(place);
children.add(await upstream.start().then(() => upstream.process));
console.log(`The upstream is nginx at ${upstream.url}; its access log is what is counted.`);
console.log(`${sum(FLEET, 'count')} bots, each a process, call every ${EVERY_MS} ms; ${outageMs / 1000} s of each run it answers 502.\n`);
const alone = await run(upstream, false);
await startBreakerd();
const governed = await run(upstream, true);
const { ratio, again, refused } = report(alone, governed);

console.log('\n  $ breakerctl status');
console.log(ctl('status').replace(/^/gm, '    '));
const states = JSON.parse(ctl('status', '--json')).services.filter((s) => SERVICES.includes(s.name));
const troubles = [];
if (ratio < RATIO) troubles.push(`the upstream got more than a tenth of the requests (ratio ${ratio.toFixed(1)})`);
if (again > 0) troubles.push(`SDKs tried again ${again} times what was refused`);
if (refused === 0) troubles.push('no call was refused: the circuits did not open');
for (const name of SERVICES) {
  const state = states.find((s) => s.name === name);
  if (state?.state !== 'closed' || state.counters.opened === 0) troubles.push(`${name} is ${state?.state ?? 'unknown'}, opened ${state?.counters.opened ?? 0} times`);
}
if (troubles.length > 0) console.error(`quickstart --sdk: ${troubles.join('; ')}`);
process.exit(troubles.length > 0 ? 1 : 0);
