// SPDX-License-Identifier: Apache-2.0
// libbreaker through koffi: decides from shared memory within the loop, and asks
// the daemon, where it must, in koffi's threads. Reports never wait.
import { OUTCOMES } from './classify.js';
import { optional } from './load.js';

const ALLOWED = 1;
const MUST_ASK = 2;
const QUEUED = 4;
const TELL_LATER = 1;
const FAIL = { local: 1, open: 2, closed: 3 };
// Sizes and places of include/breaker/breaker.h's structs, which never move.
const PERMIT = { size: 72, id: 8, generation: 16, retryAfter: 24, verdict: 44, reason: 45, state: 46, source: 47 };
const TOKEN = { size: 64, id: 8, delay: 16, retryAfter: 24, verdict: 44, reason: 45 };
const OPTIONS_SIZE = 64;
const DETAILS_SIZE = 40;
const TEXT_MAX = 64;
const ASK_SIZE = 24;
// Questions in koffi's threads at once, and that wait for one, and for how long.
const THREADS = 16;
const WAITING_MAX = 4096;
const PATIENCE_MS = 1000;

const FUNCTIONS = {
  open: 'void *breaker_open(void *)',
  close: 'void breaker_close(void *)',
  service: 'void *breaker_service(void *, str)',
  serviceName: 'str breaker_service_name(void *)',
  acquireNow: 'int breaker_acquire_now(void *, void *)',
  acquireWith: 'int breaker_acquire_with(void *, void *, void *)',
  report: 'int breaker_report(void *, int, int64_t)',
  reportWith: 'int breaker_report_with(void *, int, void *)',
  reportService: 'int breaker_report_service(void *, int, void *)',
  release: 'int breaker_release(void *)',
  renew: 'int breaker_renew(void *, uint64_t)',
  retry: 'int breaker_retry(void *, uint32_t, int, uint64_t, void *)',
  tokenRelease: 'int breaker_token_release(void *)',
  status: 'int breaker_status(void *, void *, size_t)',
  config: 'int breaker_config(void *, void *, void *, size_t)',
  ping: 'int breaker_ping(void *, void *)',
  reasonName: 'str breaker_reason_name(int)',
  stateName: 'str breaker_state_name(int)',
  sourceName: 'str breaker_source_name(int)',
  errorText: 'str breaker_error_text()',
};

const number = (buffer, at) => buffer.readUInt32LE(at + 4) * 2 ** 32 + buffer.readUInt32LE(at);

/** A permit as the library filled it in; what is seldom asked for is read late. */
class Permit {
  constructor(lib) {
    this.lib = lib;
    this.raw = Buffer.allocUnsafe(PERMIT.size);
  }

  get allowed() { return this.raw[PERMIT.verdict] === ALLOWED; }
  get id() { return number(this.raw, PERMIT.id); }
  get generation() { return number(this.raw, PERMIT.generation); }
  get retryAfterMs() { return number(this.raw, PERMIT.retryAfter); }
  get reason() { return this.lib.reasonName(this.raw[PERMIT.reason]); }
  get state() { return this.lib.stateName(this.raw[PERMIT.state]); }
  get source() { return this.lib.sourceName(this.raw[PERMIT.source]); }
  get service() { return this.lib.serviceName(this.raw.readBigUInt64LE(0)); }
}

export class Memory {
  name = 'memory';

  /** Throws in one sentence where koffi or the library is missing. */
  constructor({ dir, worker, fail, deadlineMs }) {
    this.koffi = optional('koffi');
    if (this.koffi === null) throw new Error('koffi is not installed');
    this.lib = this.#load();
    this.fail = fail;
    this.busy = 0;
    this.waiting = [];
    this.hasQueued = this.isPinging = false;
    this.isClosed = false;
    this.pointers = new Map();
    const options = Buffer.alloc(OPTIONS_SIZE);
    const strings = [dir, worker].map((text) => (text ? Buffer.from(`${text}\0`) : null));
    options.writeBigUInt64LE(BigInt(OPTIONS_SIZE), 0);
    strings.forEach((text, i) => text && options.writeBigUInt64LE(this.#address(text), 8 + 8 * i));
    options.writeUInt32LE(FAIL[fail] ?? 0, 28);
    options.writeUInt32LE(deadlineMs ?? 0, 32);
    options.writeUInt32LE(TELL_LATER, 36);
    this.handle = this.lib.open(options);
    if (!this.handle) throw new Error(`libbreaker: ${this.lib.errorText()}`);
  }

  #load() {
    const wanted = process.env.BREAKER_LIBRARY ?? 'libbreaker.so.0';
    try {
      const library = this.koffi.load(wanted);
      return Object.fromEntries(Object.entries(FUNCTIONS).map(([name, text]) => [name, library.func(text)]));
    } catch (e) {
      throw new Error(`${wanted} cannot be loaded (${e.message.trim()})`);
    }
  }

  // Of a buffer that outlives the call.
  #address(buffer) {
    return BigInt(this.koffi.address(buffer));
  }

  /** Calls in one of koffi's threads; null when that cannot be within patience. */
  #later(call, ...args) {
    return new Promise((resolve) => {
      const job = { call, args, resolve, timer: null };
      if (this.busy < THREADS) {
        this.#run(job);
      } else if (this.waiting.length < WAITING_MAX) {
        job.timer = setTimeout(() => { job.args = null; resolve(null); }, PATIENCE_MS);
        this.waiting.push(job);
      } else {
        resolve(null);
      }
    });
  }

  #run(job) {
    clearTimeout(job.timer);
    this.busy++;
    const done = (error, value) => {
      this.busy--;
      job.resolve(error ? null : value);
      let next;
      do next = this.waiting.shift(); while (next && next.args === null);
      if (next) this.#run(next);
    };
    try {
      job.call.async(...job.args, done);
    } catch (e) {
      done(e);
    }
  }

  #pointer(name) {
    let pointer = this.pointers.get(name);
    if (pointer === undefined && !this.isClosed) {
      pointer = this.lib.service(this.handle, name);
      if (!pointer) throw new TypeError(`${JSON.stringify(name)}: ${this.lib.errorText()}`);
      this.pointers.set(name, pointer);
    }
    return pointer;
  }

  /** A permit now, or null when only the daemon can tell. */
  take(name) {
    if (this.isClosed) return nobody(name);
    const permit = new Permit(this.lib);
    return this.lib.acquireNow(this.#pointer(name), permit.raw) === MUST_ASK ? null : permit;
  }

  async ask(name, attempt = 1, token = null) {
    if (this.isClosed) return nobody(name);
    const permit = new Permit(this.lib);
    const ask = Buffer.alloc(ASK_SIZE);
    ask.writeBigUInt64LE(BigInt(ASK_SIZE), 0);
    if (token?.raw) ask.writeBigUInt64LE(this.#address(token.raw), 8);
    const verdict = await this.#later(this.lib.acquireWith, this.#pointer(name), ask, permit.raw);
    return verdict === null ? nobody(name, this.fail) : permit;
  }

  /** What came of a call; without a permit it counts for the generation of now. */
  tell(name, permit, outcome, { latencyUs = -1, retryAfterMs = 0, text = '', willRetry = false } = {}) {
    if (this.isClosed || (permit && !permit.raw)) return;
    const code = OUTCOMES.indexOf(outcome);
    let answer;
    if (permit && !retryAfterMs && !text && !willRetry) {
      answer = this.lib.report(permit.raw, code, latencyUs);
    } else {
      // The text lies behind the struct: one buffer to keep.
      const details = Buffer.alloc(DETAILS_SIZE + TEXT_MAX + 1);
      details.write(text, DETAILS_SIZE, TEXT_MAX);
      details.writeBigUInt64LE(BigInt(DETAILS_SIZE), 0);
      details.writeBigInt64LE(BigInt(latencyUs), 8);
      details.writeBigUInt64LE(BigInt(Math.round(retryAfterMs)), 16);
      details.writeBigUInt64LE(this.#address(details) + BigInt(DETAILS_SIZE), 24);
      details.writeUInt32LE(willRetry ? 1 : 0, 32);
      answer = permit
        ? this.lib.reportWith(permit.raw, code, details)
        : this.lib.reportService(this.#pointer(name), code, details);
    }
    this.#afterwards(answer);
  }

  // What was queued is sent from a thread that may wait; a program that ends before
  // sends it by closing.
  #afterwards(answer) {
    if (answer !== QUEUED) return;
    this.hasQueued = true;
    if (this.isPinging) return;
    this.isPinging = true;
    this.#sendQueued();
  }

  async #sendQueued() {
    this.hasQueued = false;
    if (!this.isClosed) await this.#later(this.lib.ping, this.handle, null);
    this.isPinging = false;
    // What was queued behind the ping.
    if (this.hasQueued) this.#afterwards(QUEUED);
  }

  release(permit) {
    if (!this.isClosed && permit.raw) this.#afterwards(this.lib.release(permit.raw));
  }

  async renew(permit, ttlMs) {
    if (this.isClosed || !permit.raw) return false;
    return (await this.#later(this.lib.renew, permit.raw, ttlMs)) === ALLOWED;
  }

  async retry(name, failed, outcome, retryAfterMs = 0) {
    const raw = Buffer.alloc(TOKEN.size);
    const verdict = this.isClosed ? null : await this.#later(this.lib.retry, this.#pointer(name), failed,
      OUTCOMES.indexOf(outcome), Math.round(retryAfterMs), raw);
    if (verdict === null) return { granted: false, reason: 'unavailable', retryAfterMs: 0 };
    return {
      raw,
      granted: raw[TOKEN.verdict] === ALLOWED,
      id: number(raw, TOKEN.id),
      delayMs: number(raw, TOKEN.delay),
      retryAfterMs: number(raw, TOKEN.retryAfter),
      reason: this.lib.reasonName(raw[TOKEN.reason]),
    };
  }

  releaseToken(token) {
    if (!this.isClosed && token.raw) this.#afterwards(this.lib.tokenRelease(token.raw));
  }

  async #document(call, ...args) {
    for (let room = 65536; ; ) {
      const buffer = Buffer.alloc(room);
      const length = await this.#later(call, ...args, buffer, room);
      if (length === null || length < 0) return null;
      if (length < room) return JSON.parse(buffer.toString('utf8', 0, length));
      room = length + 1;
    }
  }

  status(name) {
    return this.isClosed ? Promise.resolve(null) : this.#document(this.lib.status, this.#pointer(name));
  }

  config(name) {
    return this.isClosed ? Promise.resolve(null) : this.#document(this.lib.config, this.handle, this.#pointer(name));
  }

  async ping() {
    const epoch = Buffer.alloc(8);
    const answer = this.isClosed ? null : await this.#later(this.lib.ping, this.handle, epoch);
    return answer === 0 ? number(epoch, 0) : null;
  }

  // What the library keeps back it tells when it is closed.
  flush() {}

  /** Tells what is untold and ends; questions under way are answered first. */
  async close() {
    for (let i = 0; this.busy > 0 && i < PATIENCE_MS; i++) await new Promise((r) => setTimeout(r, 1));
    this.closeNow();
  }

  /** The same when the program ends: within the deadline, in this thread. */
  closeNow() {
    if (this.isClosed || this.busy > 0) return;
    this.isClosed = true;
    const box = Buffer.alloc(8);
    box.writeBigUInt64LE(BigInt(this.handle), 0);
    this.lib.close(box);
  }
}

/** The permit of a call that nobody decided on. */
export function nobody(name, fail) {
  const allowed = fail !== 'closed';
  return { service: name, allowed, id: 0, generation: 0, retryAfterMs: 0, reason: allowed ? 'none' : 'unavailable',
    state: 'unknown', source: 'nobody' };
}
