// SPDX-License-Identifier: Apache-2.0
export { Breaker } from './breaker.js';
export { BreakerError, CircuitOpen, RetryBudgetExhausted } from './errors.js';
export { governedFetch } from './fetch.js';
export { governedRest } from './discord.js';
