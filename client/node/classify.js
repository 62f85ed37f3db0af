// SPDX-License-Identifier: Apache-2.0
// What came of a call: the rows of docs/classification.md.

const DAY_MS = 86400000;
/** More of a body is not looked at. */
export const BODY_MAX = 65536;
/** In the library's order. */
export const OUTCOMES = ['success', 'failure', 'timeout', 'rate_limited', 'rejected', 'critical', 'cancelled'];
/** Outcomes that another attempt can help. */
export const RETRYABLE = new Set(['failure', 'timeout', 'rate_limited']);

// The first row that holds the status.
const STATUSES = [
  [100, 399, 'success'],
  [401, 402, 'critical'],
  [407, 407, 'cancelled'],
  [408, 408, 'timeout'],
  [425, 425, 'failure'],
  [429, 429, 'rate_limited'],
  [400, 499, 'rejected'],
  [501, 501, 'rejected'],
  [505, 505, 'rejected'],
  [504, 504, 'timeout'],
  [511, 511, 'cancelled'],
  [522, 522, 'timeout'],
  [524, 524, 'timeout'],
];

const REFUSAL = ['403', '4xx'];
const CLIENT = [...REFUSAL, '429'];
const ANY = [...CLIENT, '5xx'];

// [where, words, with which statuses, outcome]: the first that fits overrules.
const BODIES = [
  ['word', ['insufficient_quota', 'billing_hard_limit_reached', 'billing_not_active', 'billing_error',
    'invalid_api_key', 'account_deactivated'], ANY, 'critical'],
  ['word', ['invalid_organization', 'authentication_error'], CLIENT, 'critical'],
  ['word', ['context_length_exceeded'], ANY, 'rejected'],
  ['word', ['string_above_max_length'], CLIENT, 'rejected'],
  ['word', ['request_too_large'], REFUSAL, 'rejected'],
  ['word', ['overloaded_error'], ANY, 'failure'],
  ['word', ['rate_limit_exceeded'], ['403'], 'rate_limited'],
  ['word', ['rate_limit_error'], ANY, 'rate_limited'],
  ['message', ['credit balance is too low', 'specified api usage limits'], CLIENT, 'critical'],
  ['message', ['api key not valid'], REFUSAL, 'critical'],
  ['message', ['maximum context length', 'context window', 'prompt is too long'], REFUSAL, 'rejected'],
  ['plain', ['context length'], [...REFUSAL, '5xx'], 'rejected'],
  ['message', ['context size'], [...REFUSAL, '5xx'], 'rejected'],
  ['message', ['api key', 'api-key', 'api_key', 'billing', 'payment', 'account'], ['403'], 'critical'],
  ['plain', ['server busy'], ['5xx'], 'failure'],
];

function group(status) {
  if (status === 403 || status === 429) return String(status);
  if (status < 400 || [401, 402, 407, 511].includes(status)) return null;
  return status >= 500 ? '5xx' : '4xx';
}

function parse(text) {
  try {
    const value = JSON.parse(text);
    const object = Array.isArray(value) ? value[0] : value;
    return object !== null && typeof object === 'object' ? object : {};
  } catch {
    return {};
  }
}

/** The four fields, within `error` or else at the top. */
function fieldsOf(body) {
  const inner = body.error !== null && typeof body.error === 'object' ? body.error : {};
  const plain = typeof body.error === 'string';
  const field = (name) => [inner[name], body[name]].find((v) => typeof v === 'string')?.toLowerCase() ?? '';
  const message = field('message') || (plain ? body.error.toLowerCase() : '');
  return { code: field('code'), type: field('type'), message, plain };
}

function overruled(status, fields) {
  const with_ = group(status);
  if (with_ === null) return null;
  for (const [where, words, statuses, outcome] of BODIES) {
    if (!statuses.includes(with_) || (where === 'plain' && !fields.plain)) continue;
    const fits = where === 'word'
      ? words.some((w) => fields.code === w || fields.type === w)
      : words.some((w) => fields.message.includes(w));
    if (fits) return outcome;
  }
  return null;
}

const isSeconds = (text) => /^\d+(\.\d+)?$/.test(text);
const cut = (ms) => Math.min(DAY_MS, Math.max(0, Math.ceil(ms)));

/** The upstream's Retry-After in milliseconds; 0: none. */
export function retryAfterMs(headers, body = {}) {
  const ms = headers.get('retry-after-ms')?.trim();
  if (ms && isSeconds(ms)) return cut(Number(ms));
  const text = headers.get('retry-after')?.trim() ?? '';
  let told = null;
  if (isSeconds(text)) {
    told = cut(Number(text) * 1000);
  } else if (/^[A-Z][a-z]{2,8},? /.test(text)) {
    const date = Date.parse(text);
    const now = Date.parse(headers.get('date') ?? '');
    if (!Number.isNaN(date)) told = cut(date - (Number.isNaN(now) ? Date.now() : now));
  }
  const fine = typeof body.retry_after === 'number' ? cut(body.retry_after * 1000) : null;
  // Beside a header the body counts where it is the finer form of the same time.
  if (fine !== null && (told === null || (fine <= told && told - fine < 1000))) return fine;
  return told ?? 0;
}

function isBucket(headers, body) {
  const is = (name, word) => headers.get(name)?.toLowerCase() === word;
  if (body.global === true || is('x-ratelimit-global', 'true') || is('x-ratelimit-scope', 'global')) return false;
  return body.global !== undefined || headers.has('x-ratelimit-bucket');
}

/**
 * An HTTP answer's verdict. `told` is what the service is told, `outcome` what a
 * retry is asked for with: they differ for a limit of this one call.
 */
export function classifyHttp(status, headers, text = '') {
  let outcome = STATUSES.find(([from, to]) => status >= from && status <= to)?.[2] ?? 'failure';
  if (outcome === 'success') return { outcome, told: outcome, retryAfterMs: 0, text: '' };
  const body = parse(text.slice(0, BODY_MAX));
  const fields = fieldsOf(body);
  outcome = overruled(status, fields) ?? outcome;
  const word = fields.code || fields.type;
  const verdict = { outcome, told: outcome, retryAfterMs: 0, text: `HTTP ${status}${word ? ` ${word}` : ''}` };
  if (RETRYABLE.has(outcome)) verdict.retryAfterMs = retryAfterMs(headers, body);
  if (outcome === 'rate_limited' && status === 429 && isBucket(headers, body)) verdict.told = 'rejected';
  return verdict;
}

const TIMEOUTS = new Set(['ETIMEDOUT', 'ESOCKETTIMEDOUT', 'UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT']);
// Trouble of our own, which would be the same with every service.
const OURS = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NODATA', 'EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS',
  'EADDRNOTAVAIL', 'EACCES', 'EPERM', 'ERR_INVALID_URL', 'ERR_INVALID_ARG_TYPE', 'UND_ERR_INVALID_ARG']);
const BUGS = [SyntaxError, ReferenceError, RangeError];

/** An exception's verdict; a Response-like one within it is judged as an answer. */
export function classifyError(error) {
  const of = (outcome, text) => ({ outcome, told: outcome, retryAfterMs: 0, text });
  for (let e = error, depth = 0; e && depth < 8; e = e.cause, depth++) {
    const name = e.code ?? e.name;
    if (e.name === 'TimeoutError' || /Timeout(Error)?$/.test(e.name ?? '') || TIMEOUTS.has(e.code)) return of('timeout', String(name));
    if (e.name === 'AbortError' || e.name === 'APIUserAbortError' || e.name === 'CircuitOpen' ||
        e.name === 'RetryBudgetExhausted') return of('cancelled', String(name));
    const status = e.status ?? e.response?.status;
    if (Number.isInteger(status) && status >= 100 && status <= 999) {
      const headers = e.headers ?? e.response?.headers;
      return classifyHttp(status, typeof headers?.get === 'function' ? headers : new Headers(),
        e.error ? JSON.stringify({ error: e.error }) : '');
    }
    if (OURS.has(e.code) || BUGS.some((kind) => e instanceof kind)) return of('cancelled', String(name));
    if (e.code) return of('failure', String(e.code));
  }
  // A TypeError without a cause is a fault of the program; fetch's have one.
  if (error instanceof TypeError && error.cause === undefined) return of('cancelled', 'TypeError');
  return of('failure', String(error?.name ?? 'Error'));
}

/** What a program says itself. */
export function verdictOfWord(word, text = '') {
  if (!OUTCOMES.includes(word)) throw new TypeError(`no such outcome: ${word}; one of ${OUTCOMES.join(', ')}`);
  return { outcome: word, told: word, retryAfterMs: 0, text };
}
