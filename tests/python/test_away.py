# SPDX-License-Identifier: Apache-2.0
"""No library, no daemon, a daemon that comes late: calls go on, and one warning says
why."""
import os
import pathlib
import subprocess
import sys

import pytest

import breaker
from conftest import Fleet
from harness import until

PACKAGE = pathlib.Path(breaker.__file__).parents[1]

STORY = """
import asyncio
from breaker import Breaker, CircuitOpen, FAST
br = Breaker()
service = br.service("llm")
@service.guard
def plain(): return 1
@service.guard
async def coroutine(): return 2
@service.guard
def generator(): yield 3
async def main():
    assert await coroutine() == 2
    async with service.call() as c:
        c.result(200, {"a": "b"})
    async for attempt in service.attempts(max=3):
        with attempt: pass
for _ in range(20):
    assert plain() == 1 and list(generator()) == [3]
    asyncio.run(main())
    assert service.should_allow_request()
    service.record_success()
    for attempt in service.attempts(max=2, deadline=1):
        with attempt: pass
    with service.call() as c:
        c.outcome("success")
%s
br.close()
print("done", flush=True)
"""


def play(tmp_path, more="", **env):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("BREAKERD")}
    done = subprocess.run(
        [sys.executable, "-B", "-c", STORY % more], capture_output=True, text=True, timeout=60,
        env={**kept, "PYTHONPATH": str(PACKAGE), "BREAKERD_DIR": str(tmp_path), **env})
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"
    return done.stderr.splitlines()


def test_no_library(tmp_path):
    warnings = play(tmp_path, BREAKER_LIBRARY=str(tmp_path / "libbreaker.so.0"))
    assert len(warnings) == 1
    assert "no libbreaker, every call is let through" in warnings[0]
    assert "BREAKER_LIBRARY" in warnings[0]


def test_a_library_that_is_another(tmp_path):
    warnings = play(tmp_path, BREAKER_LIBRARY="libc.so.6")
    assert len(warnings) == 1 and "another version" in warnings[0]


def test_without_a_library_errors_stay_what_they_are(tmp_path):
    play(tmp_path, """
flaky = [0]
try:
    for attempt in service.attempts(max=3, preset=FAST):
        with attempt:
            flaky[0] += 1
            raise TimeoutError("mine")
except TimeoutError as e:
    assert str(e) == "mine" and flaky == [1]
else:
    raise AssertionError
async def ask():
    async for attempt in service.attempts(max=3):
        async with attempt:
            raise TimeoutError("mine")
try:
    asyncio.run(ask())
except TimeoutError: pass
else: raise AssertionError
""", BREAKER_LIBRARY=str(tmp_path / "libbreaker.so.0"))


def test_no_daemon(tmp_path):
    warnings = play(tmp_path)
    assert len(warnings) == 1
    assert "breakerd is away, this process decides by itself" in warnings[0]


def test_no_daemon_the_process_still_has_a_breaker_of_its_own(tmp_path):
    play(tmp_path, """
for _ in range(5):
    service.record_failure()
assert not service.should_allow_request()
try:
    plain()
    raise AssertionError
except CircuitOpen as e:
    assert e.reason == "open" and e.retry_after > 50
""", CIRCUIT_BREAKER_THRESHOLD="5")


@pytest.mark.parametrize("fail, more", [
    ("open", "for _ in range(9): service.record_failure()\nassert plain() == 1"),
    ("local", "assert plain() == 1")])
def test_what_becomes_of_calls_is_a_choice(tmp_path, fail, more):
    assert len(play(tmp_path, more, BREAKERD_FAIL=fail)) == 1


def test_a_daemon_that_is_started_again():
    fleet = Fleet()
    try:
        br = fleet.breaker(deadline_ms=200)
        service = fleet.is_known(br, "llm")
        fleet.daemon.stop()
        for _ in range(5):
            with service.call():
                pass
        fleet.daemon.start()

        def is_told():
            with service.call():
                pass
            return fleet.counters("llm").get("success", 0) > 0

        until(is_told, "the new daemon's first report", every_s=0.05)
    finally:
        fleet.close()
