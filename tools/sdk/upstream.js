// SPDX-License-Identifier: Apache-2.0
// The upstream of the demonstration: nginx, which answers as OpenAI, Anthropic and
// Discord do, is down while a file is there, and logs every request it gets.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const ANSWERS = {
  openai: { id: 'c1', object: 'chat.completion', choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'hello' } }] },
  anthropic: { id: 'm1', type: 'message', role: 'assistant', stop_reason: 'end_turn', content: [{ type: 'text', text: 'hello' }] },
  discord: { id: '1', username: 'bot', discriminator: '0001', avatar: null, content: 'hello' },
};
const DOWN = { error: { type: 'server_error', message: 'bad gateway' } };
const TRIES = 5;
const LINE = /^(\S+) (\d+) \/(\w+)\/\S* "(.*)" "(.*)"$/;

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

function configuration(place, port) {
  const locations = Object.entries(ANSWERS).map(([name, answer]) => `
    location /${name}/ {
      default_type application/json;
      if (-f ${place}/down) { return 502 '${JSON.stringify(DOWN)}'; }
      return 200 '${JSON.stringify(answer)}';
    }`);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `  ${kind}_temp_path ${place}/${kind};`);
  return `daemon off; master_process off; pid ${place}/nginx.pid; error_log ${place}/error.log;
events { worker_connections 512; }
http {
${temporary.join('\n')}
  log_format hits '$msec $status $uri "$http_x_stainless_retry_count" "$http_user_agent"';
  access_log ${place}/access.log hits;
  server {
    listen 127.0.0.1:${port};${locations.join('')}
  }
}
`;
}

export class Upstream {
  constructor(place) {
    this.place = place;
    this.log = path.join(place, 'access.log');
  }

  async start() {
    for (let i = 0; i < TRIES; i++) {
      const port = await freePort();
      writeFileSync(path.join(this.place, 'nginx.conf'), configuration(this.place, port));
      this.process = spawn('nginx', ['-p', this.place, '-c', path.join(this.place, 'nginx.conf'), '-e', path.join(this.place, 'error.log')],
        { stdio: ['ignore', 'ignore', 'ignore'], env: { PATH: `/usr/sbin:/sbin:${process.env.PATH}` } });
      let isOver = false;
      this.process.once('error', () => { isOver = true; });
      this.process.once('exit', () => { isOver = true; });
      for (let j = 0; j < 100 && !isOver; j++) {
        const answer = await fetch(`http://127.0.0.1:${port}/discord/`).catch(() => null);
        if (answer?.ok) {
          this.url = `http://127.0.0.1:${port}`;
          return this;
        }
        await sleep(50);
      }
      this.process.kill('SIGKILL');
    }
    throw new Error(`nginx does not start; its words are in ${this.place}/error.log`);
  }

  /** Forgets what was counted. */
  begin() {
    this.past = this.#lines().length;
  }

  set isDown(down) {
    if (down) writeFileSync(path.join(this.place, 'down'), '');
    else rmSync(path.join(this.place, 'down'), { force: true });
  }

  #lines() {
    return readFileSync(this.log, 'utf8').trim().split('\n');
  }

  /** What came since begin(), exactly: who, when, what it was told. */
  hits() {
    return this.#lines().slice(this.past).map((line) => {
      const [, at, status, api, count, agent] = LINE.exec(line);
      const sdk = api === 'discord' ? (agent.includes('discord.py') ? 'discord.py' : 'discord.js') : api;
      return { atMs: Number(at) * 1000, status: Number(status), sdk, isRetry: Number(count) > 0 };
    });
  }
}
