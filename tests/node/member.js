// SPDX-License-Identifier: Apache-2.0
// One of a fleet, as a thread or a process: tells four failures of $SERVICE.
import cluster from 'node:cluster';
import { Breaker } from '../../client/node/index.js';

const breaker = new Breaker({ transport: process.env.TRANSPORT, deadlineMs: 5000 });
const end = Date.now() + 20000;
while (!(await breaker.ping()) && Date.now() < end);
for (let i = 0; i < 4; i++) breaker.service(process.env.SERVICE).recordFailure();
await breaker.close();
cluster.worker?.disconnect();
