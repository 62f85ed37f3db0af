/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tools/bench/bench_rows.h"

const struct bench_row bench_rows[] = {
    {"counts", "Counts", row_counts, false,
     "What no clock shows. System calls are counted by tracing a worker between "
     "marks around its calls (once a second one of them is the tally of what was "
     "decided). Cache lines are found by taking the mapping's pages away from the "
     "worker and looking where a decision stumbles. Commits are compared between a "
     "stretch with few calls and one with many: the daemon saves by time."},
    {"decide", "A decision from shared memory", row_decide, false,
     "`breaker_acquire` as a worker calls it in the shared library, beside a "
     "breaker of this process alone: a mutex around a state machine. Both read the "
     "coarse clock, both run on the same core. What the mutex guards only this "
     "process knows; the word in shared memory is the fleet's."},
    {"guard", "A guarded call", row_guard, false,
     "Asked, timed, reported with the latency (`breaker_begin`, `breaker_end`): "
     "everything that guarding a call costs its caller. In bursts of 200 with a "
     "pause, as the daemon takes reports in; the peers make the same pauses. They "
     "read the precise clock twice, the library the processor's counter."},
    {"report", "A report", row_report, false,
     "The report alone, in bursts of 200. The floor stores a record of 64 octets "
     "into a ring that nobody empties."},
    {"shared", "Several processes on one service", row_shared, false,
     "Four processes on the machine's cores guard calls to one service. Told is "
     "processor time a call in the callers, for on fewer cores than processes wall "
     "time measures the scheduler. The peer is what one would write by hand: the "
     "machine in shared memory, behind a robust mutex. A crash while it is held is "
     "its user's problem. It has two speeds, as those who wait for it meet or sleep "
     "in turns, and can stay with either for seconds: a lower ratio to it here than "
     "in another run is its doing."},
    {"ask", "A decision over ZeroMQ", row_ask, false,
     "Medians of single round trips. A bare client is what any language has: a libzmq "
     "DEALER that sends lines. The floor is a bare libzmq ROUTER that echoes "
     "the same frames to a bare DEALER. A round trip is two wake-ups, and these "
     "depend on where the scheduler puts the two sides: on one core both are pinned "
     "to it, daemon or echo or Redis included; one a millisecond is how a worker "
     "that is not busy asks, wherever it runs."},
    {"pipeline", "Many decisions at once", row_pipeline, false,
     "Four bare clients that keep a hundred questions under way each: the most that "
     "the daemon decides. The clients cost as much as the server, and share the "
     "machine with it, in all three."},
    {"ingest", "Outcomes taken in", row_ingest, false,
     "The daemon's processor time for each outcome (that it has counted all of them "
     "is checked). By libbreaker: sixteen threads of a worker, each with "
     "240 reports every 12 ms. As lines: a hundred REPORTQ a message."},
    {"change", "A change is seen", row_change, false,
     "One worker asks without a pause, on a core of its own; another thread reports "
     "the failure that trips. The segment has a stamp that the daemon takes just "
     "after it has stored the word, so the first figure can come out a few "
     "nanoseconds short. At rest nobody has said anything for 8 to 12 ms."},
    {"services", "Ten thousand services", row_services, false,
     "The same with 10,000 services, all of them called in an order that no cache "
     "guesses, in a daemon that knows them, and with one. What is in the cache for one "
     "service comes from memory for ten thousand, and each that has changed is "
     "published up to ten times a second and saved once: that is what lines of reports "
     "pay for. Fetching the services of a message's lines ahead of their turn gained "
     "nothing that could be measured."},
    {"restart", "A restart with ten thousand services", row_restart, false,
     "The daemon is killed with SIGKILL and started again: from the call that forks "
     "it until the segment says that it runs, program start included. Adopted is "
     "the segment it left; rebuilt is what SQLite has when that is gone. Meanwhile "
     "one worker decides from shared memory without a pause, and one asks over the "
     "socket every 0.2 ms, so that on two cores the daemon starts beside them. Alone "
     "an adoption takes 15 to 29 ms: 4 to start the program and link its libraries, 7 "
     "to make room for ten thousand records, check them and take them over, 3 for "
     "the configuration and the sockets; beside that, on another thread, 5 to open the "
     "database and to see that it has no others."},
    {"memory", "Memory and idleness", row_memory, false,
     "Connections are libbreaker's own, each a worker that has asked once. The "
     "daemon's resident memory includes what it has touched of its segment."},
    {"floors", "Floors", row_floors, false,
     "What this machine does when nothing is in the way."},
    {"peers", "Are the peers good?", row_peers, false,
     "A goal that is a ratio is worth what its peer is worth. Each peer's figure "
     "over its own floor, beside what that ratio was on the machine on which the "
     "goals were set; within a quarter is alike. Those over ZeroMQ and Redis run "
     "wherever the scheduler puts them, where round trips have two speeds."},
    {"curves", "Against processes and services", row_curves, true,
     "Both axes are logarithmic. With more processes than cores a round trip waits "
     "for its turn."},
};
const size_t bench_row_count = sizeof bench_rows / sizeof bench_rows[0];
