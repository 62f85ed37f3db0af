// SPDX-License-Identifier: Apache-2.0
// A real daemon in a private directory, an upstream on loopback, and a client of
// either transport. $BREAKERD names the daemon, $BREAKER_LIBRARY the library.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { Breaker } from '../../client/node/index.js';

export const PATIENCE_MS = 20000;
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until condition() gives something, and returns it. */
export async function until(condition, what) {
  for (const end = Date.now() + PATIENCE_MS; ; ) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${PATIENCE_MS} ms for ${what}`);
    await pause(20);
  }
}

export class Daemon {
  constructor(config = '') {
    this.home = mkdtempSync(path.join(os.tmpdir(), 'breakerd-test-'));
    this.dir = path.join(this.home, 'run');
    this.breakers = [];
    this.config = path.join(this.home, 'conf');
    writeFileSync(this.config, config);
  }

  async start() {
    const { PATH, HOME } = process.env;
    this.process = spawn(process.env.BREAKERD, ['--dir', this.dir, '--db', path.join(this.home, 'db'), '-c', this.config],
      { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH, HOME } });
    this.said = '';
    this.process.stderr.setEncoding('utf8').on('data', (text) => { this.said += text; });
    await until(() => {
      if (this.process.exitCode !== null) throw new Error(`breakerd ended: ${this.said}`);
      return / ready in /.test(this.said);
    }, 'breakerd');
    return this;
  }

  async kill(signal = 'SIGKILL') {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    this.process.kill('SIGCONT');
    this.process.kill(signal);
    await once(this.process, 'exit');
  }

  async end() {
    await Promise.all(this.breakers.map((breaker) => breaker.close()));
    await this.kill();
    rmSync(this.home, { recursive: true, force: true });
  }
}

/** A daemon for this test, ended with it. */
export async function daemonFor(t, config) {
  const daemon = await new Daemon(config).start();
  t.after(() => daemon.end());
  return daemon;
}

/** A client for this test, which must be able to decide: it waits for the daemon. */
export async function breakerFor(daemon, options) {
  const breaker = new Breaker({ dir: daemon.dir, worker: 'test', deadlineMs: 2000, ...options });
  daemon.breakers.push(breaker);
  await until(() => breaker.ping(), 'an answer to PING');
  return breaker;
}

/** An upstream that answers as `answer(request, response, number)` says, and counts. */
export async function upstreamFor(t, answer) {
  const upstream = { hits: 0, requests: [] };
  const server = http.createServer((request, response) => {
    upstream.hits++;
    upstream.requests.push({ url: request.url, headers: request.headers });
    request.resume();
    request.on('end', () => answer(request, response, upstream.hits));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => { server.closeAllConnections(); server.close(); });
  upstream.url = `http://127.0.0.1:${server.address().port}`;
  return upstream;
}

export function answerJson(response, status, value, headers = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(value));
}

/** The same test with either transport. */
export function withBoth(test, name, body) {
  for (const transport of ['memory', 'wire']) test(`${name} (${transport})`, (t) => body(t, transport));
}
