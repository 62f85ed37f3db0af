# SPDX-License-Identifier: Apache-2.0
"""Guards, calls and attempts, with the real daemon."""
import asyncio
import threading
import time

import pytest

from breaker import (BreakerError, CircuitOpen, RetryBudgetExhausted, FAST,
                     STANDARD, STREAMING)
from harness import until


def trip(fleet, service, times=2):
    for _ in range(times):
        with pytest.raises(ConnectionResetError):
            with service.call():
                raise ConnectionResetError(104, "reset")
    until(lambda: fleet.status(service.name).get("state") == "open", "the trip")


# ---- guards ----

def test_a_plain_function(fleet, br):
    service = br.service("llm")

    @service.guard
    def double(x, *, plus=0):
        """Doubles."""
        return 2 * x + plus

    assert double.__name__ == "double" and double.__doc__ == "Doubles."
    assert double(3, plus=1) == 7
    fleet.wait_for("llm", success=1, allowed=1)


def test_an_async_function(fleet, br):
    service = br.service("llm")

    @service.guard
    async def ask(fails):
        await asyncio.sleep(0)
        if fails:
            raise TimeoutError("too late")
        return "yes"

    async def main():
        assert await ask(False) == "yes"
        with pytest.raises(TimeoutError):
            await ask(True)

    assert asyncio.iscoroutinefunction(ask)
    asyncio.run(main())
    fleet.wait_for("llm", success=1, timeout=1)


def test_a_plain_function_that_returns_a_coroutine(fleet, br):
    """SDKs wrap their coroutine functions in plain ones."""
    async def fails(error):
        await asyncio.sleep(0)
        if error is not None:
            raise error
        return "yes"

    guarded = br.service("llm").guard(lambda error=None: fails(error))
    assert asyncio.run(guarded()) == "yes"
    with pytest.raises(TimeoutError):
        asyncio.run(guarded(TimeoutError()))
    fleet.wait_for("llm", success=1, timeout=1)


def test_generators_are_told_at_their_end(fleet, br):
    service = br.service("llm")

    @service.guard
    def count(n, fails=False):
        got = yield from range(n)
        if fails:
            raise ConnectionError("broke off")
        return got

    assert list(count(3)) == [0, 1, 2]
    with pytest.raises(ConnectionError):
        list(count(2, True))
    for _ in count(5):
        break  # given up: no verdict
    fleet.wait_for("llm", success=1, failure=1, cancelled=1)


def test_a_generator_still_takes_what_is_sent(br):
    @br.service("llm").guard
    def echo():
        said = None
        while said != "end":
            said = yield said
        return "bye"

    it = echo()
    assert next(it) is None and it.send("a") == "a"
    with pytest.raises(StopIteration) as stop:
        it.send("end")
    assert stop.value.value == "bye"


def test_async_generators(fleet, br):
    service = br.service("llm")

    @service.guard
    async def tokens(n, fails=False):
        for i in range(n):
            yield i
        if fails:
            raise ConnectionError("broke off")

    async def main():
        assert [t async for t in tokens(3)] == [0, 1, 2]
        with pytest.raises(ConnectionError):
            async for _ in tokens(1, True):
                pass

    asyncio.run(main())
    fleet.wait_for("llm", success=1, failure=1)


def test_a_stream_is_judged_by_its_first_item_and_once_more_when_it_breaks(fleet, br):
    service = br.service("stream", preset=STREAMING)

    @service.guard
    def chunks():
        yield "a"
        fleet.wait_for("stream", success=1)
        yield "b"
        raise ConnectionError("broke off")

    with pytest.raises(ConnectionError):
        list(chunks())
    fleet.wait_for("stream", success=1, failure=1, allowed=1)


def test_a_denied_call_is_not_made_and_says_why(fleet, br):
    service = br.service("long")
    trip(fleet, service)
    calls = []

    @service.guard
    def call():
        calls.append(1)

    with pytest.raises(CircuitOpen) as info:
        call()
    error = info.value
    assert calls == [] and isinstance(error, BreakerError)
    assert error.service == "long" and error.reason == "open"
    assert 0 < error.retry_after <= 60
    assert "long may not be called now: open" in str(error)


def test_fallbacks_of_all_four_kinds(fleet, br):
    service = br.service("long")
    trip(fleet, service)
    guard = service.guard(fallback=lambda e: f"busy: {e.reason}")

    @guard
    def plain():
        raise AssertionError

    @guard
    async def coroutine():
        raise AssertionError

    @guard
    def generator():
        raise AssertionError
        yield

    @guard
    async def async_generator():
        raise AssertionError
        yield

    async def later(_error):
        return "later"

    @service.guard(fallback=later)
    async def awaited():
        raise AssertionError

    async def main():
        assert await coroutine() == "busy: open"
        assert [x async for x in async_generator()] == ["busy: open"]
        assert await awaited() == "later"

    assert plain() == "busy: open" and list(generator()) == ["busy: open"]
    asyncio.run(main())


def test_an_async_generators_fallback_may_be_of_any_kind(fleet, br):
    service = br.service("long")
    trip(fleet, service)

    async def one(e):
        return e.reason

    async def two(e):
        yield e.reason
        yield "end"

    async def items(fallback):
        @service.guard(fallback=fallback)
        async def source():
            yield "source"

        return [item async for item in source()]

    assert asyncio.run(items(one)) == ["open"]
    assert asyncio.run(items(two)) == ["open", "end"]
    assert asyncio.run(items(lambda e: ["a", "b"])) == ["a", "b"]


def test_the_fallback_is_not_for_errors_of_the_call(br):
    @br.service("llm").guard(fallback=lambda e: "busy")
    def fails():
        raise ValueError("no")

    with pytest.raises(ValueError):
        fails()


def test_errors_may_be_no_verdict(fleet, br):
    class NotFound(Exception):
        pass

    def judge(error):
        return "rejected" if isinstance(error, KeyError) else None

    @br.service("llm").guard(ignore=[NotFound], classify=judge)
    def fails(error):
        raise error

    for error in (NotFound(), KeyError("x"), RuntimeError("down"), TypeError("our bug")):
        with pytest.raises(type(error)):
            fails(error)
    fleet.wait_for("llm", cancelled=2, rejected=1, failure=1)


# ---- calls ----

def test_a_classifier_at_fault_leaves_no_permit_behind(fleet, br):
    slow = br.service("slow")  # one at a time

    def ask():
        raise OSError

    with pytest.raises(ValueError, match="no such outcome: 'bogus'"):
        slow.guard(ask, classify=lambda e: "bogus")()
    with pytest.raises(ZeroDivisionError):
        slow.guard(ask, classify=lambda e: 1 / 0)()
    until(slow.should_allow_request, "the only permit")
    slow.record_success()


def test_a_call_and_its_result(fleet, br):
    service = br.service("llm")
    with service.call() as c:
        assert c.service == "llm"
        assert c.result(200) == "success"
    with service.call() as c:
        assert c.result(404, {}) == "rejected"
    with service.call() as c:
        assert c.result(529) == "failure"
    with service.call() as c:
        c.outcome("timeout")
    with service.call():
        pass
    fleet.wait_for("llm", success=2, rejected=1, failure=1, timeout=1)
    with pytest.raises(ValueError):
        with service.call() as c:
            c.outcome("splendid")


def test_the_first_byte_is_the_verdict(fleet, br):
    service = br.service("llm")
    with pytest.raises(ConnectionError):
        with service.call() as c:
            c.first_byte()
            fleet.wait_for("llm", success=1)
            raise ConnectionError("broke off")
    fleet.wait_for("llm", success=1, failure=1)


def test_a_retry_after_holds_the_service_for_all(fleet, br):
    service = br.service("llm")
    with service.call() as c:
        assert c.result(429, {"retry-after-ms": "90000"}) == "rate_limited"
    other = fleet.breaker().service("llm")
    until(lambda: fleet.status("llm")["hold_ms"] > 0, "the hold")
    with pytest.raises(CircuitOpen) as info:
        with other.call():
            pass
    assert info.value.reason == "rate_limited"
    assert 60 < info.value.retry_after <= 90


def test_money_that_ran_out_is_critical(fleet, br):
    body = {"error": {"code": "insufficient_quota", "message": "no money"}}
    with br.service("llm").call() as c:
        assert c.result(429, {"retry-after": "1"}, body) == "critical"
    fleet.wait_for("llm", critical=1)
    assert fleet.status("llm")["hold_ms"] == 0


def test_one_probe_at_a_time(fleet, br):
    service = br.service("quick")
    trip(fleet, service)

    async def main():
        until(lambda: fleet.status("quick")["state"] == "half_open", "the probe's time")
        async with service.call():
            with pytest.raises(CircuitOpen) as info:
                async with service.call():
                    pass
            assert info.value.reason == "half_open"

    asyncio.run(main())
    until(lambda: fleet.status("quick")["state"] == "closed", "the closing")


def test_a_cancelled_task_gives_its_probe_back(fleet, br):
    service = br.service("slow")

    async def main():
        async def hold():
            async with service.call():
                await asyncio.sleep(60)

        task = asyncio.ensure_future(hold())
        while fleet.status("slow").get("permits", {}).get("in_use") != 1:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    until(lambda: fleet.status("slow")["permits"]["in_use"] == 0, "the permit's return")
    fleet.wait_for("slow", cancelled=1)


def test_a_task_cancelled_while_it_asks_gives_back_what_it_gets(fleet, br):
    service = br.service("slow")

    async def main():
        for _ in range(20):
            task = asyncio.ensure_future(service.take_async())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises((asyncio.CancelledError, CircuitOpen)):
                await task

    asyncio.run(main())
    until(lambda: fleet.status("slow").get("permits", {}).get("in_use") == 0,
          "the permits' return")


def test_a_long_call_keeps_its_lease(fleet, br):
    """Its own ttl, longer or shorter than the daemon's."""
    with br.service("slow", ttl=0.2).call():
        until(lambda: fleet.counters("slow").get("timeout") == 1, "the lease's end")
        fleet.order("SET", "slow", "permit_ttl", "100ms")
    other = fleet.breaker().service("slow", ttl=60)
    with other.call():
        time.sleep(0.5)
        assert fleet.status("slow")["permits"]["in_use"] == 1
    fleet.wait_for("slow", success=1, timeout=1)


def test_separate_calls(fleet, br):
    service = br.service("quick")
    assert service.should_allow_request()
    service.record_success()
    for error in (ConnectionError("down"), "timeout"):
        assert service.should_allow_request()
        service.record_failure(error)
    until(lambda: fleet.status("quick")["state"] == "open", "the trip")
    assert not service.should_allow_request()
    until(lambda: fleet.status("quick")["state"] == "half_open", "the probe's time")
    assert service.should_allow_request()
    service.record_success()
    until(lambda: fleet.status("quick")["state"] == "closed", "the closing")
    service.record_failure()  # nobody asked: it counts all the same
    fleet.wait_for("quick", success=2, failure=2, timeout=1)


def test_a_route_names_its_member(fleet, br):
    fleet.order("TRIP", "first", "-", "maintenance")
    with br.service("chat").call() as c:
        assert c.service == "second"
    fleet.wait_for("second", success=1)


def test_bad_names_and_options_are_refused(fleet, br):
    with pytest.raises(ValueError, match="name"):
        br.service("two words")
    with pytest.raises(ValueError, match="name"):
        br.service("cut\0off")
    with pytest.raises(ValueError, match="one of auto"):
        fleet.breaker(mode="fast")
    with pytest.raises(ValueError, match="minute"):
        fleet.breaker(deadline_ms=10**6)
    assert br.service("llm") is br.service("llm")


# ---- attempts ----

class Flaky:
    def __init__(self, *errors):
        self.errors, self.calls = list(errors), 0

    def __call__(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def in_thread(service, flaky, **options):
    for attempt in service.attempts(**options):
        with attempt:
            return flaky()


def in_loop(service, flaky, **options):
    async def main():
        done = None
        async for attempt in service.attempts(**options):
            async with attempt:
                done = flaky()
        return done

    return asyncio.run(main())


@pytest.mark.parametrize("run", [in_thread, in_loop])
def test_attempts_until_it_works(fleet, br, run):
    flaky = Flaky(TimeoutError(), ConnectionError())
    assert run(br.service("llm"), flaky, max=3, deadline=60, preset=FAST) == "done"
    assert flaky.calls == 3
    fleet.wait_for("llm", success=1, timeout=1, failure=1)
    assert fleet.status("llm")["retry_budget"]["granted"] == 2


@pytest.mark.parametrize("run", [in_thread, in_loop])
def test_the_last_attempts_error_is_the_callers(br, run):
    flaky = Flaky(*[TimeoutError(str(i)) for i in range(9)])
    with pytest.raises(TimeoutError, match="1"):
        run(br.service("llm"), flaky, max=2, deadline=60, preset=FAST)
    assert flaky.calls == 2


@pytest.mark.parametrize("run", [in_thread, in_loop])
def test_what_is_not_retried_ends_at_once(br, run):
    flaky = Flaky(TypeError("our bug"))
    with pytest.raises(TypeError):
        run(br.service("llm"), flaky, max=3, deadline=60, preset=FAST)
    assert flaky.calls == 1


@pytest.mark.parametrize("run", [in_thread, in_loop])
def test_a_budget_that_is_used_up(br, run):
    flaky = Flaky(TimeoutError("first"), TimeoutError("second"))
    with pytest.raises(RetryBudgetExhausted) as info:
        run(br.service("poor"), flaky, max=3)
    assert flaky.calls == 1 and info.value.reason == "budget"
    assert str(info.value.__cause__) == "first"
    assert "poor failed and may not be retried: budget" in str(info.value)


@pytest.mark.parametrize("run", [in_thread, in_loop])
def test_no_attempt_at_an_open_service(fleet, br, run):
    fleet.order("TRIP", "llm", "-", "maintenance")
    flaky = Flaky()
    with pytest.raises(CircuitOpen) as info:
        run(br.service("llm"), flaky, max=3)
    assert flaky.calls == 0 and info.value.reason == "forced_open"


@pytest.mark.parametrize("run", [in_thread, in_loop])
def test_with_a_deadline_an_open_service_is_waited_for(fleet, br, run):
    service = br.service("quick")
    trip(fleet, service)
    flaky = Flaky()
    assert run(service, flaky, deadline=60) == "done"
    until(lambda: fleet.status("quick")["state"] == "closed", "the closing")


@pytest.mark.parametrize("run", [in_thread, in_loop])
def test_attempts_end_with_their_task(fleet, br, run):
    """GeneratorExit or a cancelled task: what is out is told cancelled."""
    if run is in_thread:
        for attempt in br.service("llm").attempts(max=3):
            assert attempt.number == 1
            break
    else:
        async def main():
            async def call():
                async for attempt in br.service("llm").attempts(max=3):
                    async with attempt:
                        await asyncio.sleep(60)

            task = asyncio.ensure_future(call())
            while not fleet.status("llm"):
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
    fleet.wait_for("llm", cancelled=1)


def test_an_answer_that_is_no_exception(fleet, br):
    statuses = [503, 429, 200]
    for attempt in br.service("llm").attempts(max=5, deadline=60, preset=FAST):
        with attempt:
            status = statuses.pop(0)
            attempt.result(status, {"retry-after-ms": "10"})
    assert status == 200 and attempt.number == 3
    for attempt in br.service("llm").attempts(max=1):
        with attempt:
            attempt.result(503)
    fleet.wait_for("llm", success=1, failure=2, rate_limited=1)


def test_a_chain_goes_on_with_the_next(fleet, br):
    fleet.order("TRIP", "first", "-", "maintenance")
    chain = [br.service("first"), br.service("second")]
    for attempt in chain[0].attempts(services=chain):
        with attempt:
            assert attempt.service == "second"
    fleet.wait_for("second", success=1)


def test_an_attempt_without_its_block_is_a_mistake(br):
    with pytest.raises(RuntimeError, match="with attempt"):
        for _ in br.service("llm").attempts():
            pass


def test_presets_have_names():
    assert [p.name for p in (STANDARD, STREAMING, FAST)] == [
        "standard", "streaming", "fast"]


# ---- many at once ----

def test_threads_share_one_handle_and_counts_are_exact(fleet, br):
    service = br.service("llm")
    errors = []

    def work():
        try:
            for i in range(500):
                with service.call() as c:
                    c.result(200 if i % 5 else 404)
        except BaseException as e:  # noqa: B902
            errors.append(e)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    br.close()
    fleet.wait_for("llm", success=3200, rejected=800, allowed=4000)


def test_after_close_every_call_is_let_through(fleet, br):
    service = br.service("llm")
    with service.call() as c:
        br.close()
        c.result(200)
    with service.call() as c:
        assert c.result(503) == "failure"
    for attempt in service.attempts(max=3):
        with attempt:
            pass
    assert service.should_allow_request()
    service.record_failure()
    assert br.stats() == {} and "let through" in br.explain()
    br.close()


def test_close_frees_nothing_that_a_waiting_question_uses(fleet, br, monkeypatch):
    handle = br._handle
    done = []
    free = handle.lib.close
    monkeypatch.setattr(handle.lib, "close",
                        lambda at: (done.append("freed"), free(at)))
    go = threading.Event()
    handle.submit(int).result()
    for _ in range(8):  # more than there are threads, and none of them asks
        handle._pool.submit(go.wait)
    last = handle.submit(done.append, "asked")
    closing = threading.Thread(target=br.close)
    closing.start()
    time.sleep(0.1)
    go.set()
    last.result(10)
    closing.join()
    assert done == ["asked", "freed"]


def test_the_numbers_of_a_process(fleet, br):
    service = fleet.is_known(br, "llm")
    before = br.stats()["by_memory"]
    for _ in range(10):
        with service.call():
            pass
    assert br.stats()["by_memory"] == before + 10
    assert "memory decides" in br.explain()
    assert time.monotonic() > 0
