// SPDX-License-Identifier: Apache-2.0
// The page, as somebody sees it who trips a real circuit through a real daemon.
import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import { until } from '../node/harness.js';
import { closeBrowser, stageFor } from './stage.js';

const HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script>';

const row = (page, name) => page.locator('#rows .row', { has: page.locator('.name', { hasText: name }) });
const holds = (locator, text) => locator.filter({ hasText: text }).first().waitFor();

after(closeBrowser);

test('a circuit trips and heals before your eyes', async (t) => {
  const stage = await stageFor(t, '[service gpt-4]\nrecovery_timeout = 1500ms\nsuccess_threshold = 1\n');
  await stage.report('gpt-4', 'success', 10);
  const page = await stage.page();
  await page.evaluate(() => { window.same = true; });
  await holds(row(page, 'gpt-4'), 'closed');
  await stage.report('gpt-4', 'failure', 5);
  await holds(row(page, 'gpt-4').locator('.chip'), 'open');
  await holds(page.locator('#recent-list li'), 'closed → open');
  await holds(page.locator('#tiles .is-open[aria-pressed]'), '1open');
  assert.match(await page.title(), /^1 open/);
  await holds(row(page, 'gpt-4').locator('.chip'), 'half open');
  // The probe. A worker that gets no answer in time goes on by itself, so again.
  await until(async () => {
    await stage.ctl('run', 'gpt-4', '--', 'true').catch(() => {});
    return await row(page, 'gpt-4').locator('.chip').textContent() === 'closed';
  }, 'the circuit to heal');
  await holds(page.locator('#recent-list li'), 'half open → closed');
  assert.equal(await page.evaluate(() => window.same), true, 'the page was loaded again');
});

test('what is hostile is inert', async (t) => {
  const stage = await stageFor(t);
  const name = "a/b:c@d.e-f_g";
  await stage.ctl('trip', name, '--reason', HOSTILE);
  await stage.ctl('raw', 'HELLO 1 <b>worker</b> 1', `REPORT x 0 - failure 1000 1 - ${HOSTILE}`);
  const page = await stage.page();
  await holds(row(page, name), 'forced open');
  await holds(page.locator('#recent-list q'), '<img');
  await row(page, name).locator('.name').click();
  await holds(page.locator('#detail .order q'), '<script>');
  await row(page, 'x').locator('.name').click();
  await holds(page.locator('#detail .proof'), '<img src=x');
  assert.equal(await page.locator('main img, aside img, main script, aside script').count(), 0);
  // The address is somebody else's words too.
  await page.goto(`${stage.web.url}#${encodeURIComponent(HOSTILE)}`);
  await page.goto(`${stage.web.url}#%zz`);
  await holds(row(page, name), 'forced open');
});

test('the detail panel tells now, next, why and what happened', async (t) => {
  const stage = await stageFor(t, '[service llm]\nrecovery_timeout = 5m\n');
  await stage.ctl('raw', ...Array(5).fill('REPORT llm 0 - timeout 30000000 1 - no answer'));
  const page = await stage.page({}, '#llm');
  const detail = page.locator('#detail');
  await holds(detail, 'Calls are denied.');
  await holds(detail, /Probing begins in (5 m|4 m \d+ s)\. 2 successful probes will close it/);
  await holds(detail.locator('.proof'), 'timeout: no answer (30 s)');
  await holds(detail.locator('.story'), 'closed → open');
  await holds(detail.locator('.facts'), '5 of 5');
  const first = await detail.locator('.next').textContent();
  await until(async () => await detail.locator('.next').textContent() !== first, 'the time to count down');
  await stage.ctl('raw', '--operator', 'FORGET llm');
  await detail.waitFor({ state: 'hidden' });
});

test('what another one denies is told and shown early', async (t) => {
  const stage = await stageFor(t, '[service needy]\nrequires = net\n');
  await stage.report('calm', 'success', 1);
  const page = await stage.page({}, '#needy');
  await holds(page.locator('#detail .says'), 'Calls are let through.');
  await stage.ctl('trip', 'net');
  await holds(page.locator('#detail .says'), 'Calls are denied: it requires net, which is open.');
  await holds(page.locator('#detail .next'), 'Calls are denied until net is let through again.');
  await holds(row(page, 'needy').locator('.note'), 'requires net');
  const names = () => page.locator('#rows .name').allTextContents();
  await until(async () => (await names()).join() === 'net,needy,calm', 'it to stand behind the open one');
  await stage.ctl('reset', 'net');
  await row(page, 'needy').locator('.note').waitFor({ state: 'detached' });
});

test('hands on the keyboard alone', async (t) => {
  const stage = await stageFor(t);
  for (const name of ['alpha', 'beta', 'gamma']) await stage.report(name, 'success', 1);
  const page = await stage.page();
  await row(page, 'gamma').waitFor();
  const focused = () => page.evaluate(() => document.activeElement.textContent);
  await page.keyboard.press('ArrowDown');
  assert.equal(await focused(), 'alpha');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await holds(page.locator('#detail-name'), 'beta');
  assert.equal(await row(page, 'beta').locator('.name').getAttribute('aria-expanded'), 'true');
  assert.match(page.url(), /#beta$/);
  await page.keyboard.press('ArrowDown');
  await holds(page.locator('#detail-name'), 'gamma');
  await page.keyboard.press('Escape');
  await page.locator('#detail').waitFor({ state: 'hidden' });
  await page.keyboard.press('/');
  await page.keyboard.type('ALPH');
  await until(async () => await page.locator('#rows .row').count() === 1, 'the others to go');
  await page.keyboard.press('Escape');
  await until(async () => await page.locator('#rows .row').count() === 3, 'all to come back');
  // One row can be reached with Tab, not a thousand.
  assert.equal(await page.locator('#rows .name[tabindex="0"]').count(), 1);
});

test('filters and sorts', async (t) => {
  const stage = await stageFor(t);
  await stage.report('calm', 'success', 9);
  await stage.report('shaky', 'success', 3);
  await stage.report('shaky', 'failure', 3);
  await stage.report('zz-down', 'failure', 5);
  const page = await stage.page();
  const names = () => page.locator('#rows .name').allTextContents();
  await until(async () => (await names()).join() === 'zz-down,calm,shaky', 'the open one first');
  await page.locator('#sort').selectOption('name');
  await until(async () => (await names()).join() === 'calm,shaky,zz-down', 'by name');
  await page.locator('#sort').selectOption('rate');
  await until(async () => (await names()).join() === 'zz-down,shaky,calm', 'by failure rate');
  await page.locator('#tiles .is-open').click();
  await until(async () => (await names()).join() === 'zz-down', 'the open ones alone');
  assert.equal(await page.locator('#tiles .is-open').getAttribute('aria-pressed'), 'true');
  await page.locator('#tiles .is-held').click();
  await holds(page.locator('#empty'), 'No service is like that.');
});

test('the daemon dies and comes back', async (t) => {
  const stage = await stageFor(t);
  await stage.report('llm', 'failure', 5);
  const page = await stage.page();
  assert.equal(await page.locator('#banner').isVisible(), false);
  await stage.daemon.kill();
  await holds(page.locator('#banner'), /breakerd does not serve\..*Its last sign of life is \d+ s old/);
  await holds(row(page, 'llm'), 'open');
  await stage.daemon.start();
  await page.locator('#banner').waitFor({ state: 'hidden' });
});

test('breakerweb dies and comes back', async (t) => {
  const stage = await stageFor(t);
  const page = await stage.page();
  page.watched.allowed = /Failed to load resource|ERR_/;
  await stage.web.stop();
  await holds(page.locator('#banner'), /No connection to breakerweb\./);
  await stage.web.start();
  await page.locator('.pulse[data-kind="live"]').waitFor();
  await page.locator('#banner').waitFor({ state: 'hidden' });
});

test('a stream that is refused is polled for', async (t) => {
  const stage = await stageFor(t);
  const taken = await Promise.all(Array.from({ length: 16 }, () => fetch(`${stage.web.url}api/v1/events`)));
  t.after(() => Promise.all(taken.map((r) => r.body.cancel().catch(() => {}))));
  const { contexts } = stage;
  const opening = stage.page();
  await until(() => contexts.length === 1, 'a page');
  contexts[0].allowed = /503/;
  const page = contexts[0].context.pages()[0];
  await page.locator('.pulse[data-kind="poll"]').waitFor();
  await stage.report('llm', 'failure', 5);
  await holds(row(page, 'llm'), 'open');
  await holds(page.locator('#recent-list li'), 'closed → open');
  await Promise.all(taken.map((r) => r.body.cancel()));
  await opening;
});

test('narrow, dark, calm', async (t) => {
  const stage = await stageFor(t);
  await stage.ctl('trip', `${'x'.repeat(63)}`, '--reason', 'no'.repeat(40));
  await stage.report('calm', 'success', 3);
  const page = await stage.page({ viewport: { width: 400, height: 800 }, colorScheme: 'dark', reducedMotion: 'reduce' });
  await row(page, 'calm').waitFor();
  const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(await overflow() <= 0, 'scrolls sideways');
  await page.locator('.name').first().click();
  await page.locator('#detail').waitFor();
  assert.ok(await overflow() <= 0, 'scrolls sideways with the panel');
  const colour = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await colour();
  await page.locator('#theme').click();
  assert.notEqual(await colour(), dark);
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'light');
  await page.reload();
  await page.locator('.pulse[data-kind="live"]').waitFor();
  assert.notEqual(await colour(), dark, 'the choice was forgotten');
  assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector('.dot')).animationName), 'none');
});

test('a thousand services', async (t) => {
  // With windows of calls and no budget nothing passes by itself.
  const stage = await stageFor(t, '[defaults]\nwindow = 100calls\nretry_ratio = 0\n');
  const lines = Array.from({ length: 1000 }, (_, i) => `REPORT s${String(i).padStart(4, '0')} 0 - success`);
  await stage.ctl('raw', ...lines);
  const page = await stage.page();
  await until(async () => await page.locator('#rows .row').count() === 1000, 'a thousand rows');
  // Of a thousand rows the one that changed is touched.
  await page.evaluate(() => {
    window.touched = new Set();
    new MutationObserver((list) => {
      for (const m of list) window.touched.add(m.target.parentElement?.closest('.row')?.querySelector('.name').textContent);
    }).observe(document.getElementById('rows'), { subtree: true, childList: true, characterData: true, attributes: true });
  });
  await stage.report('s0500', 'failure', 1);
  await until(() => page.evaluate(() => window.touched.has('s0500')), 'the row to change');
  assert.ok(await page.evaluate(() => window.touched.size) < 10, 'rows were touched that did not change');
  await page.locator('#find').fill('s0999');
  await until(async () => await page.locator('#rows .row').count() === 1, 'one row');
});
