# SPDX-License-Identifier: Apache-2.0
"""Event loops: nothing that can wait is called on a loop's thread, whatever the
daemon does."""
import asyncio
import collections
import os
import signal
import threading
import time

import pytest

from breaker import CircuitOpen, FAST, _native
from harness import until

DEADLINE_MS = 1000
TASKS = 1000


class Watch:
    """Every call into the library: by whom, and for how long."""

    def __init__(self, monkeypatch):
        self.calls = collections.Counter()
        self.longest = collections.Counter()
        self.on_loop = collections.Counter()
        self.longest_on_loop = 0.0
        self.loop_thread = None
        self.may_wait = {name[len("breaker_"):] for name, _, _ in _native._MAY_WAIT}
        library = _native.load()
        for name in [*self.may_wait, "call_success",
                     *(row[0][len("breaker_"):] for row in _native._AT_ONCE)]:
            monkeypatch.setattr(library, name, self.watched(name, getattr(library, name)))

    def watched(self, name, function):
        def call(*args):
            began = time.perf_counter()
            try:
                return function(*args)
            finally:
                took = time.perf_counter() - began
                self.calls[name] += 1
                self.longest[name] = max(self.longest[name], took)
                if threading.get_ident() == self.loop_thread:
                    self.on_loop[name] += 1
                    self.longest_on_loop = max(self.longest_on_loop, took)

        return call

    def check(self):
        assert self.loop_thread is not None
        waited = {n: c for n, c in self.on_loop.items() if n in self.may_wait}
        assert waited == {}, "called on the loop's thread"
        assert self.on_loop["acquire_now"] > 0

    def report(self, lag):
        name, longest = max(self.longest.items(), key=lambda item: item[1])
        print(f"\nlongest single call into the library: {name}, {longest * 1e3:.2f} ms "
              f"(deadline {DEADLINE_MS} ms); on the loop's thread: "
              f"{self.longest_on_loop * 1e3:.2f} ms; its longest lag: {lag * 1e3:.1f} ms; "
              f"{sum(self.calls.values())} calls")
        return longest


@pytest.fixture
def watch(monkeypatch):
    return Watch(monkeypatch)


async def lag_until(done):
    """The longest time that a 1 ms sleep took too long."""
    worst = 0.0
    while not done.is_set():
        began = time.monotonic()
        await asyncio.sleep(0.001)
        worst = max(worst, time.monotonic() - began - 0.001)
    return worst


async def many(watch, work):
    watch.loop_thread = threading.get_ident()
    done = asyncio.Event()
    lag = asyncio.ensure_future(lag_until(done))
    results = await asyncio.gather(*(work(i) for i in range(TASKS)), return_exceptions=True)
    done.set()
    return results, await lag


def failures(results):
    return [r for r in results if isinstance(r, BaseException) and not isinstance(r, CircuitOpen)]


@pytest.mark.parametrize("mode", ["auto", "zmq"])
def test_a_thousand_tasks_and_a_stopped_daemon(fleet, watch, mode):
    br = fleet.breaker(deadline_ms=DEADLINE_MS, mode=mode)
    services = [br.service(f"s{i}") for i in range(10)] + [br.service("slow")]

    @services[0].guard
    async def call(i):
        await asyncio.sleep(0.001 * (i % 7))
        if i % 50 == 0:
            raise TimeoutError

    async def work(i):
        for round_ in range(3):
            service = services[(i + round_) % len(services)]
            try:
                async with service.call() as c:
                    await asyncio.sleep(0.001 * (i % 5))
                    c.result(200 if i % 10 else 503)
            except CircuitOpen:
                pass
            try:
                await call(i)
            except (TimeoutError, CircuitOpen):
                pass

    os.kill(fleet.daemon.pid, signal.SIGSTOP)
    try:
        results, lag = asyncio.run(many(watch, work))
    finally:
        os.kill(fleet.daemon.pid, signal.SIGCONT)
    assert failures(results) == []
    longest = watch.report(lag)
    watch.check()
    # A question waits for the deadline; on top of it is what a loaded machine adds.
    assert longest < DEADLINE_MS / 1000 + 0.5


def test_attempts_and_a_stopped_daemon(fleet, watch):
    br = fleet.breaker(deadline_ms=200)
    service = br.service("llm")

    async def work(i):
        async for attempt in service.attempts(max=2, deadline=30, preset=FAST):
            async with attempt:
                await asyncio.sleep(0)
                if i % 10 == 0 and attempt.number == 1:
                    raise TimeoutError

    async def main():
        watch.loop_thread = threading.get_ident()
        return await asyncio.gather(*(work(i) for i in range(100)), return_exceptions=True)

    os.kill(fleet.daemon.pid, signal.SIGSTOP)
    try:
        results = asyncio.run(main())
    finally:
        os.kill(fleet.daemon.pid, signal.SIGCONT)
    assert [r for r in results if isinstance(r, BaseException) and
            not isinstance(r, (TimeoutError, CircuitOpen))] == []
    assert sum(r is None for r in results) >= 90
    assert {n for n in watch.on_loop if n in watch.may_wait} == set()


def test_a_thousand_tasks_and_exact_counts(fleet, watch):
    br = fleet.breaker(deadline_ms=20000)
    service = br.service("llm")

    async def work(i):
        async with service.call() as c:
            await asyncio.sleep(0)
            c.result(200 if i % 10 else 404)

    results, lag = asyncio.run(many(watch, work))
    assert failures(results) == [] and CircuitOpen not in map(type, results)
    watch.report(lag)
    watch.check()
    watch.loop_thread = None
    br.close()
    fleet.wait_for("llm", success=TASKS - TASKS // 10, rejected=TASKS // 10, allowed=TASKS)


def test_the_daemon_comes_back_and_is_told(fleet, watch):
    br = fleet.breaker(deadline_ms=200)
    service = fleet.is_known(br, "llm")
    before = fleet.counters("llm")["success"]

    async def call(times):
        watch.loop_thread = threading.get_ident()
        for _ in range(times):
            async with service.call():
                await asyncio.sleep(0)

    os.kill(fleet.daemon.pid, signal.SIGSTOP)
    asyncio.run(call(50))
    os.kill(fleet.daemon.pid, signal.SIGCONT)
    watch.loop_thread = None
    until(lambda: fleet.counters("llm")["success"] > before, "what was queued")


def test_a_sync_call_on_a_loop_says_so_once(fleet, br, caplog):
    async def main():
        for _ in range(3):
            with br.service("slow").call():
                pass

    from breaker import _handle
    _handle._has_warned_on_loop = False
    asyncio.run(main())
    assert sum("async with" in r.message for r in caplog.records) == 1


def test_attempts_that_sleep_on_a_loop_say_so_once(fleet, br, caplog):
    from breaker import _handle

    async def main():
        for attempt in br.service("llm").attempts(max=3, preset=FAST):
            with attempt:
                if attempt.number < 3:
                    raise TimeoutError

    _handle._has_warned_on_loop = False
    asyncio.run(main())
    assert sum("async for" in r.message for r in caplog.records) == 1
