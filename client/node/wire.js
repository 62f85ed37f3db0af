// SPDX-License-Identifier: Apache-2.0
// BRK/1 over ZeroMQ (docs/protocol.md): a DEALER, a correlation id in the envelope,
// lines in the order they were said, a deadline for every answer. While the daemon
// is away calls are let through, and it is looked for again four times a second.
import { findSocket, optional } from './load.js';
import { nobody } from './memory.js';

// Longer than libbreaker's: nobody's thread waits.
const DEADLINE_MS = 200;
// The first answer comes after a connection.
const FIRST_MS = 500;
const LOOK_AGAIN_MS = 250;
// After such a silence of ours the daemon may be another: it is greeted again.
const GREET_AGAIN_MS = 5000;
// Lines that wait to be sent; lines and octets of a message; messages unanswered.
const QUEUE_MAX = 4096;
const LINES_MAX = 512;
const UNANSWERED_MAX = 4096;
const TEXT_MAX = 64;

const tick = () => new Promise((resolve) => setImmediate(resolve));
const word = (text) => String(text).replace(/[^\x21-\x7e]/g, '_').slice(0, 31) || '-';

export class Wire {
  name = 'wire';

  /** Throws in one sentence where zeromq is missing. */
  constructor({ dir, worker, fail, deadlineMs, warn }) {
    const zmq = optional('zeromq');
    if (zmq === null) throw new Error('zeromq is not installed');
    Object.assign(this, { warn, fail, deadlineMs: deadlineMs ?? DEADLINE_MS, dir });
    this.hello = `HELLO 1 ${word(worker ?? 'node')} ${process.pid}`;
    this.queue = [];
    this.unanswered = new Map();
    this.tallies = new Map();
    this.counter = 0;
    this.epoch = null;
    this.isAway = false;
    this.lookAgain = 0;
    this.lastSent = Date.now();
    this.isClosed = false;
    this.isSending = this.isReading = this.isUnheard = false;
    this.reportsDropped = 0;
    this.socket = new zmq.Dealer({
      immediate: true, linger: 0, sendTimeout: FIRST_MS, receiveTimeout: 100,
      sendHighWaterMark: 1000, reconnectInterval: 20, reconnectMaxInterval: 500,
    });
    const found = findSocket(dir);
    if (found.socket) this.socket.connect(`ipc://${found.socket}`);
    this.isConnected = Boolean(found.socket);
    if (found.trouble) this.#away(found.trouble);
    else this.#say(this.hello, FIRST_MS).then((answer) => this.#back(answer));
  }

  // ---- the daemon comes and goes ----

  #away(why) {
    if (this.isAway) return;
    this.isAway = true;
    this.lookAgain = Date.now() + LOOK_AGAIN_MS;
    this.warn(`${why}; ${this.fail === 'closed' ? 'calls are denied' : 'calls are let through'} until it answers`);
  }

  #back(answer) {
    if (!answer?.startsWith('OK ')) return;
    try {
      this.epoch = JSON.parse(answer.slice(3)).epoch;
    } catch {
      return; // no answer of breakerd's
    }
    this.isAway = false;
    for (const [key, count] of this.tallies) {
      const [name, what] = key.split(' ');
      this.#quiet(`TALLYQ ${name} ${what} ${count}${what === 'denied' ? ' open' : ''}`);
    }
    this.tallies.clear();
  }

  /** Is it away? If so, it is asked for, so that somebody notices its return. */
  #isGone() {
    if (!this.isAway) return false;
    if (Date.now() >= this.lookAgain) {
      this.lookAgain = Date.now() + LOOK_AGAIN_MS;
      if (!this.isConnected) {
        const found = findSocket(this.dir);
        if (found.trouble) return true;
        this.socket.connect(`ipc://${found.socket}`);
        this.isConnected = true;
      }
      this.#say(this.hello, LOOK_AGAIN_MS).then((answer) => this.#back(answer));
    }
    return true;
  }

  // ---- lines ----

  /** One line and its answer; null is silence. */
  #say(line, deadlineMs = this.epoch === null ? FIRST_MS : this.deadlineMs) {
    return new Promise((resolve) => {
      if (this.isClosed || this.queue.length >= QUEUE_MAX || this.unanswered.size >= UNANSWERED_MAX) {
        resolve(null);
        return;
      }
      const asked = { line, resolve, isOver: false };
      asked.timer = setTimeout(() => this.#late(asked), deadlineMs);
      this.queue.push(asked);
      this.#wake();
    });
  }

  /** A line without an answer. */
  #quiet(line) {
    if (this.isClosed || this.queue.length >= QUEUE_MAX) {
      this.reportsDropped++;
      return;
    }
    this.queue.push({ line, resolve: null });
    this.isUnheard = true;
    this.#wake();
  }

  // A loop that was busy elsewhere finds the timer before the answer that is there.
  async #late(asked) {
    await tick();
    await tick();
    if (asked.isOver) return;
    asked.isOver = true;
    this.#away('breakerd does not answer');
    asked.resolve(null);
  }

  #wake() {
    if (this.isSending) return;
    this.isSending = true;
    queueMicrotask(() => this.#send());
  }

  async #send() {
    while (this.queue.length > 0 && !this.isClosed) {
      const lines = this.queue.splice(0, LINES_MAX).filter((asked) => !asked.isOver);
      if (lines.length === 0) continue;
      if (Date.now() - this.lastSent > GREET_AGAIN_MS) lines.unshift({ line: this.hello, resolve: (answer) => this.#back(answer) });
      this.lastSent = Date.now();
      const asked = lines.filter((l) => l.resolve);
      const id = String(++this.counter);
      if (asked.length > 0) {
        this.unanswered.set(id, { asked, at: Date.now() });
        this.#read();
      }
      try {
        await this.socket.send([id, '', ...lines.map((l) => l.line)]);
      } catch {
        // Nobody takes it: the askers' deadlines say so.
        this.reportsDropped += lines.length - asked.length;
        this.unanswered.delete(id);
      }
    }
    this.isSending = false;
  }

  // Reads while something is awaited, so that an idle program can end.
  async #read() {
    if (this.isReading) return;
    this.isReading = true;
    while (this.unanswered.size > 0 && !this.isClosed) {
      try {
        this.#answered((await this.socket.receive()).map(String));
      } catch (e) {
        if (e.code !== 'EAGAIN') break;
        this.#forget();
      }
    }
    this.isReading = false;
  }

  // What never was answered, and nobody waits for any more.
  #forget() {
    const old = Date.now() - 10 * LOOK_AGAIN_MS;
    for (const [id, { asked, at }] of this.unanswered) {
      if (at < old || this.isAway && asked.every((a) => a.isOver)) this.unanswered.delete(id);
    }
  }

  #answered(frames) {
    const [id, delimiter, ...answers] = frames;
    const asked = this.unanswered.get(id)?.asked;
    this.unanswered.delete(id);
    if (delimiter !== '') return;
    answers.forEach((answer, i) => {
      const one = asked?.[i];
      if (!one || one.isOver) {
        this.#returnLate(answer);
        return;
      }
      one.isOver = true;
      clearTimeout(one.timer);
      one.resolve(answer);
    });
  }

  // A permit or token that nobody waits for any more goes back.
  #returnLate(answer) {
    const [verdict, , id] = answer.split(' ');
    if ((verdict === 'ALLOW' || verdict === 'GRANT') && /^[1-9]\d*$/.test(id)) this.#say(`RELEASE ${id}`);
  }

  // ---- what a service asks ----

  #byNobody(name) {
    const permit = nobody(name, this.fail);
    const key = `${name} ${permit.allowed ? 'allowed' : 'denied'}`;
    if (this.tallies.has(key) || this.tallies.size < QUEUE_MAX) this.tallies.set(key, (this.tallies.get(key) ?? 0) + 1);
    return permit;
  }

  /** A permit now, where nobody can be asked; else null. */
  take(name) {
    return this.isClosed || this.#isGone() ? this.#byNobody(name) : null;
  }

  async ask(name, attempt = 1, token = null) {
    if (this.isClosed || this.#isGone()) return this.#byNobody(name);
    const answer = await this.#say(`ACQUIRE ${name} ${attempt} ${token?.id ?? '-'}`);
    const words = answer?.split(' ') ?? [];
    if (words[0] === 'ALLOW') {
      return { service: words[1], allowed: true, id: Number(words[2]), generation: Number(words[3]), state: words[4],
        attempt, reason: 'none', retryAfterMs: 0, source: 'daemon' };
    }
    if (words[0] === 'DENY') {
      return { service: words[1], allowed: false, id: 0, generation: 0, state: 'unknown', attempt, reason: words[2],
        retryAfterMs: Number(words[3]) || 0, source: 'daemon' };
    }
    return this.#byNobody(name);
  }

  tell(name, permit, outcome, { latencyUs = -1, retryAfterMs = 0, text = '', willRetry = false, attempt } = {}) {
    const tried = `${permit?.attempt ?? attempt ?? 1}${willRetry ? '+' : ''}`;
    if (this.#isGone()) {
      this.reportsDropped++;
      return;
    }
    // What nobody admitted has no generation of its own.
    const generation = permit && permit.source !== 'nobody' ? permit.generation : '-';
    const line = `REPORTQ ${permit?.service ?? name} ${permit?.id ?? 0} ${generation} ${outcome} ` +
      `${latencyUs >= 0 ? Math.round(latencyUs) : '-'} ${tried} ${retryAfterMs ? Math.ceil(retryAfterMs) : '-'}`;
    const words = text.replace(/[^\x20-\x7e]/g, '?').slice(0, TEXT_MAX).trim();
    this.#quiet(words ? `${line} ${words}` : line);
  }

  release(permit) {
    if (permit.id) this.#say(`RELEASE ${permit.id}`);
  }

  async renew(permit, ttlMs) {
    return permit.id > 0 && (await this.#say(`RENEW ${permit.id} ${Math.ceil(ttlMs)}`)) === 'OK applied';
  }

  async retry(name, failed, outcome, retryAfterMs = 0) {
    const silence = { granted: false, reason: 'unavailable', retryAfterMs: 0 };
    if (this.isClosed || this.#isGone()) return silence;
    const words = (await this.#say(`RETRY ${name} ${failed} ${outcome} ${retryAfterMs ? Math.ceil(retryAfterMs) : '-'}`))?.split(' ') ?? [];
    if (words[0] === 'GRANT') return { granted: true, id: Number(words[2]), delayMs: Number(words[3]) || 0, retryAfterMs: 0, reason: 'none' };
    if (words[0] === 'DENY') return { granted: false, reason: words[2], retryAfterMs: Number(words[3]) || 0 };
    return silence;
  }

  releaseToken(token) {
    if (token.id) this.#say(`RELEASE ${token.id}`);
  }

  async #document(line) {
    const answer = this.isClosed || this.#isGone() ? null : await this.#say(line);
    return answer?.startsWith('OK ') ? JSON.parse(answer.slice(3)) : null;
  }

  status(name) { return this.#document(`STATUS ${name}`); }
  config(name) { return this.#document(`CONFIG ${name}`); }

  async ping() {
    this.isUnheard = false;
    const words = this.isClosed || this.#isGone() ? [] : (await this.#say('PING'))?.split(' ') ?? [];
    return words[0] === 'PONG' ? Number(words[1]) : null;
  }

  /** Waits for what was said to be heard, if somebody hears. */
  flush() {
    if (this.isUnheard) this.ping();
  }

  /** Tells what is untold (within the deadline) and ends. */
  async close() {
    if (this.isClosed) return;
    await this.ping(); // it is answered when all before it was heard
    this.closeNow();
  }

  closeNow() {
    if (this.isClosed) return;
    this.isClosed = true;
    for (const { asked } of this.unanswered.values()) asked.forEach((a) => { clearTimeout(a.timer); a.resolve(null); });
    this.socket.close();
  }
}
