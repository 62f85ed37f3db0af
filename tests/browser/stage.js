// SPDX-License-Identifier: Apache-2.0
// A real breakerd, a real breakerweb and a real browser, which may speak to nobody
// else. $BREAKERD, $BREAKERWEB and $BREAKERCTL name the programs, $CHROMIUM the
// browser; playwright-core is one of the packages of tests/node.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { chromium } from '../node/node_modules/playwright-core/index.mjs';
import { Daemon, PATIENCE_MS, until } from '../node/harness.js';

const run = promisify(execFile);

/** breakerweb for the instance in `dir`. */
export class Web {
  constructor(dir) {
    this.dir = dir;
    this.port = 0;
  }

  async start() {
    this.process = spawn(process.env.BREAKERWEB,
      ['--dir', this.dir, '--listen', `127.0.0.1:${this.port}`], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.said = '';
    this.process.stderr.setEncoding('utf8').on('data', (text) => { this.said += text; });
    await until(() => / serving on 127/.test(this.said) || this.process.exitCode !== null, 'breakerweb');
    const found = /127\.0\.0\.1:(\d+)/.exec(this.said);
    assert.ok(found, this.said);
    this.port = Number(found[1]);
    this.url = `http://127.0.0.1:${this.port}/`;
    return this;
  }

  async stop() {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill('SIGTERM');
      await once(this.process, 'exit');
    }
    return this.process.exitCode;
  }
}

let browser = null;

/** The browser of this process, with a profile that is new and goes with it. */
function browserOnce() {
  browser ??= chromium.launch({
    executablePath: process.env.CHROMIUM, headless: true, timeout: 3 * PATIENCE_MS,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  return browser;
}

export async function closeBrowser() {
  await (await browser)?.close();
  browser = null;
}

/** Daemon, web server and browser together. */
export class Stage {
  async open(config) {
    this.daemon = await new Daemon(config).start();
    this.web = await new Web(this.daemon.dir).start();
    this.contexts = [];
    return this;
  }

  /** A page that must stay clean: see `close`. */
  async page(options = {}, address = '') {
    const context = await (await browserOnce()).newContext({ viewport: { width: 1400, height: 900 }, ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    const watched = { context, trouble: [], allowed: null };
    page.on('console', (m) => {
      if (m.type() === 'error' && !watched.allowed?.test(m.text())) watched.trouble.push(m.text());
    });
    page.on('pageerror', (e) => watched.trouble.push(String(e)));
    page.on('dialog', (d) => { watched.trouble.push(`dialog ${d.message()}`); d.dismiss(); });
    page.on('request', (r) => { if (!r.url().startsWith(this.web.url)) watched.trouble.push(r.url()); });
    this.contexts.push(watched);
    page.watched = watched;
    await page.goto(this.web.url + address);
    await page.locator('.pulse[data-kind="live"]').waitFor();
    return page;
  }

  async ctl(...words) {
    const { stdout } = await run(process.env.BREAKERCTL, ['--dir', this.daemon.dir, ...words]);
    return stdout;
  }

  /** `count` outcomes of a service, all in one message. */
  report(service, outcome, count) {
    return this.ctl('raw', ...Array(count).fill(`REPORT ${service} 0 - ${outcome} 120000 1`));
  }

  /** Ends everything; nothing may have gone wrong on any page. */
  async close() {
    const trouble = this.contexts.flatMap((watched) => watched.trouble);
    await Promise.all(this.contexts.map(({ context }) => context.close()));
    const status = await this.web.stop();
    await this.daemon.end();
    assert.deepEqual(trouble, []);
    assert.equal(status, 0, this.web.said);
  }
}

/** A stage for this test, closed with it. */
export async function stageFor(t, config) {
  const stage = await new Stage().open(config);
  t.after(() => stage.close());
  return stage;
}
