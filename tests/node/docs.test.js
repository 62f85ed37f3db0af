// SPDX-License-Identifier: Apache-2.0
// The blocks of the documents run, page by page, as they are printed.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { answerJson, breakerFor, daemonFor, upstreamFor } from './harness.js';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const ROOT = path.resolve(HERE, '../..');
const run = promisify(execFile);

function blocks(page, language) {
  const text = readFileSync(path.join(ROOT, 'docs', page), 'utf8');
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map((m) => m[1]);
}

/** A program's directory, as npm would have made it. */
function projectFor(t) {
  const place = mkdtempSync(path.join(os.tmpdir(), 'breakerd-test-'));
  t.after(() => rmSync(place, { recursive: true }));
  mkdirSync(path.join(place, 'node_modules/@anthropic-ai'), { recursive: true });
  for (const name of ['openai', '@anthropic-ai/sdk', 'discord.js', 'koffi', 'zeromq']) {
    symlinkSync(path.join(HERE, 'node_modules', name), path.join(place, 'node_modules', name));
  }
  symlinkSync(path.join(ROOT, 'client/node'), path.join(place, 'node_modules/breakerd-client'));
  return place;
}

async function play(t, page, least, after) {
  const daemon = await daemonFor(t);
  const upstream = await upstreamFor(t, (_, response) => answerJson(response, 200, { id: '1', content: [], choices: [] }));
  const found = blocks(page, 'js');
  assert.ok(found.length >= least, `${found.length} blocks`);
  const place = projectFor(t);
  const program = path.join(place, 'page.mjs');
  writeFileSync(program, `${found.join('\n')}\n${after}\nprocess.exit(0);\n`);
  const { stdout } = await run(process.execPath, [program], { cwd: place, timeout: 60000, env: {
    PATH: process.env.PATH, BREAKERD_DIR: daemon.dir, BREAKER_LIBRARY: process.env.BREAKER_LIBRARY, PAGE: upstream.url,
    OPENAI_API_KEY: 'k', OPENAI_BASE_URL: upstream.url, ANTHROPIC_API_KEY: 'k', ANTHROPIC_BASE_URL: upstream.url,
  } });
  return { stdout, breaker: await breakerFor(daemon), upstream };
}

// On a machine under load breakerd may not answer within the 50 ms that the pages
// give it; then a program rightly goes on by itself, and its reports are not there.
const TRIES = 3;

async function pageOf(t, page, least, after, check) {
  for (let i = 1; ; i++) {
    try {
      await check(await play(t, page, least, after));
      return;
    } catch (error) {
      if (i === TRIES) throw error;
      t.diagnostic(`${page}, try ${i}: ${error.message}`);
    }
  }
}

test('docs/node.md', async (t) => {
  const after = `
    await client.chat.completions.create({ model: 'm', messages: [] });
    await claude.messages.create({ model: 'm', max_tokens: 1, messages: [] });
    await fetchAny(process.env.PAGE);
    console.log(sent);
    await Breaker.shared().close();`;
  await pageOf(t, 'node.md', 7, after, async ({ stdout, breaker, upstream }) => {
    assert.equal(stdout, '200\nclosed\nsent hello\n');
    assert.equal((await breaker.service('openai').status()).counters.success, 1);
    assert.equal((await breaker.service('anthropic').status()).counters.success, 1);
    assert.equal((await breaker.service(new URL(upstream.url).host).status()).counters.success, 1);
    // call, guard, retrying and by hand.
    assert.equal((await breaker.service('mail').status()).counters.success, 4);
  });
});

test('README.md prints what docs/node.md prints', () => {
  const [block] = blocks('../README.md', 'js');
  assert.ok(blocks('node.md', 'js').includes(block));
});

test('docs/migrating.md', async (t) => {
  await pageOf(t, 'migrating.md', 2, '', async ({ stdout, breaker }) => {
    assert.equal(stdout, 'tea costs 3\n1.08 one call\n');
    assert.equal((await breaker.service('rates').status()).counters.success, 2);
  });
});

test('docs/other-languages.md: the protocol', async (t) => {
  const daemon = await daemonFor(t, '[defaults]\nfailure_threshold = 2\n');
  const [program] = blocks('other-languages.md', 'python');
  const story = `
b = Breaker("${daemon.dir}/worker.sock", 5000)
print(b.call("py", lambda: "made"))
for _ in range(2):
    try:
        b.call("py", lambda: 1 / 0)
    except ZeroDivisionError:
        pass
try:
    b.call("py", lambda: "made")
except RuntimeError as e:
    print(str(e).split(",")[0])
gone = Breaker("${daemon.dir}/nobody.sock", 50)
print(gone.call("py", lambda: "made all the same"))
`;
  const { stdout } = await run('/usr/bin/python3', ['-B', '-c', program + story], { timeout: 60000 });
  assert.equal(stdout, 'made\npy: open\nmade all the same\n');
});

test('the types say what the code does', async () => {
  await run(process.execPath, [path.join(HERE, 'node_modules/typescript/bin/tsc'), '-p', path.join(HERE, 'tsconfig.json')], { timeout: 120000 });
});
