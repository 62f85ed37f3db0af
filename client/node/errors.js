// SPDX-License-Identifier: Apache-2.0
// What is thrown when a call may not be made.

/** A call was not made, or not made again, because the fleet says so. */
export class BreakerError extends Error {
  constructor(message, { service, reason, retryAfterMs = 0, generation = 0, cause }) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.service = service;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs; // 0: not known
    this.generation = generation;
  }
}

const wait = (ms) => (ms > 0 ? `, try again in ${(ms / 1000).toFixed(1)} s` : '');

/** The service may not be called now. */
export class CircuitOpen extends BreakerError {
  constructor(told) {
    super(`${told.service} may not be called now: ${told.reason}${wait(told.retryAfterMs)}`, told);
  }
}

/** The attempt failed and may not be made again; its own error is the cause. */
export class RetryBudgetExhausted extends BreakerError {
  constructor(told) {
    super(`${told.service} failed and may not be retried: ${told.reason}${wait(told.retryAfterMs)}`, told);
  }
}
