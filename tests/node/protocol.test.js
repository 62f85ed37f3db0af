// SPDX-License-Identifier: Apache-2.0
// The wire by itself: the dialogues of docs/protocol.md, and the table of
// docs/classification.md as this client and as libbreaker read it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import koffi from 'koffi';
import zmq from 'zeromq';
import { classifyHttp } from '../../client/node/classify.js';
import { daemonFor } from './harness.js';

const document = (name) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

test('the dialogues of docs/protocol.md', async (t) => {
  const daemon = await daemonFor(t);
  const socket = new zmq.Dealer({ linger: 0, receiveTimeout: 10000 });
  t.after(() => socket.close());
  socket.connect(`ipc://${daemon.dir}/operator.sock`);
  const section = document('protocol.md').split('## 9. Dialogues')[1].split('A whole client')[0];
  const said = [...section.matchAll(/> (?:\[\w+\] )?([A-Z]+ ?.*)/g)].map((m) => m[1]);
  assert.ok(said.length > 12);
  for (const [i, text] of said.entries()) {
    const lines = text.split(' | ');
    const answered = lines.filter((line) => !/^(REPORTQ|TALLYQ)/.test(line));
    await socket.send([`c${i}`, '', ...lines]);
    if (answered.length === 0) continue;
    const [id, delimiter, ...answers] = (await socket.receive()).map(String);
    assert.equal(id, `c${i}`);
    assert.equal(delimiter, '');
    assert.equal(answers.length, answered.length, text);
    answers.forEach((answer, n) => assert.match(answer, answered[n].includes('no,such,name') ? /^ERR bad_service / : /^(ALLOW|DENY|GRANT|PONG|OK) /, answered[n]));
  }
});

const OUTCOMES = ['success', 'failure', 'timeout', 'rate_limited', 'rejected', 'critical', 'cancelled'];

function libbreaker() {
  const classify = koffi.load(process.env.BREAKER_LIBRARY).func('void breaker_classify_http(void *, void *)');
  return (status, headers, body) => {
    const [head, text] = [Object.entries(headers).map(([k, v]) => `${k}: ${v}\r\n`).join(''), body].map((s) => Buffer.from(`${s}\0`));
    const http = Buffer.alloc(56);
    http.writeBigUInt64LE(56n, 0);
    http.writeBigUInt64LE(BigInt(koffi.address(head)), 8);
    http.writeBigUInt64LE(BigInt(head.length - 1), 16);
    http.writeBigUInt64LE(BigInt(koffi.address(text)), 24);
    http.writeBigUInt64LE(BigInt(text.length - 1), 32);
    http.writeInt32LE(status, 48);
    const result = Buffer.alloc(96);
    result.writeBigUInt64LE(96n, 0);
    classify(http, result);
    const outcome = OUTCOMES[result.readUInt32LE(8)];
    const isDelayOnly = (result.readUInt32LE(12) & 2) !== 0;
    return { outcome, told: isDelayOnly ? 'rejected' : outcome, retryAfterMs: Number(result.readBigUInt64LE(16)),
      text: result.toString('latin1', 32, result.indexOf(0, 32)) };
  };
}

test('answers are judged as libbreaker judges them', () => {
  const judge = libbreaker();
  const words = [...document('classification.md').matchAll(/`([a-z][a-z_ -]+)`/g)].map((m) => m[1]);
  assert.ok(words.length > 30);
  const bodies = ['', 'no json', '{"error":"model server busy"}', '{"error":"the context length"}', '[{"error":{"code":"billing_error"}}]',
    '{"retry_after":0.75,"global":false}', '{"retry_after":2.5,"global":true}', '{"retry_after":1.5}',
    ...words.flatMap((w) => [`{"error":{"code":"${w}"}}`, `{"type":"error","error":{"type":"${w}","message":"m"}}`,
      `{"message":"say ${w} to you","code":50001}`, `{"error":{"message":"${w}"}}`])];
  const heads = [{}, { 'retry-after': '2' }, { 'retry-after': '1.25' }, { 'retry-after': 'soon' }, { 'retry-after-ms': '1500.5', 'retry-after': '9' },
    { 'retry-after': 'Sun, 06 Nov 1994 08:49:37 GMT', date: 'Sun, 06 Nov 1994 08:49:07 GMT' }, { 'retry-after': '999999999' },
    { 'x-ratelimit-bucket': 'b' }, { 'x-ratelimit-bucket': 'b', 'x-ratelimit-global': 'true', 'retry-after': '3' }, { 'x-ratelimit-scope': 'global' }];
  const statuses = [200, 204, 304, 400, 401, 402, 403, 404, 407, 408, 409, 413, 422, 425, 429, 500, 501, 502, 503, 504, 505, 511, 520, 522, 524, 529, 999];
  let judged = 0;
  for (const status of statuses) {
    for (const [i, body] of bodies.entries()) {
      // Every body with every status, every head with some body of each status.
      for (const head of i < 9 ? heads : [heads[(i + status) % heads.length]]) {
        const ours = classifyHttp(status, new Headers(head), body);
        const theirs = judge(status, head, body);
        if (theirs.outcome === 'success') theirs.text = '';
        // The library keeps forty-odd octets of a word for people.
        if (ours.text.startsWith(theirs.text)) theirs.text = ours.text;
        assert.deepEqual(ours, theirs, `${status} ${JSON.stringify(head)} ${body}`);
        judged++;
      }
    }
  }
  assert.ok(judged > 1000);
});
