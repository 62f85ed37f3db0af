#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a guarded call costs, beside breakers that know one process only.

    bench.py [DIR]      with the breakerd that runs there; default: as Breaker() finds it

The ratio is to the plain breaker below, which does in Python what every in-process
breaker does: a lock, a look at the state, a count. All are measured in turns, and the
best of the turns is shown, so that a busy machine matters less."""
import functools
import sys
import threading
import time

from breaker import Breaker, _native

TURNS = 7
CALLS = 20000


class PlainBreaker:
    """As pybreaker and its like: state and count behind a lock, in this process."""

    def __init__(self, fail_max=5, reset_timeout=60.0):
        self._lock = threading.RLock()
        self._fail_max, self._reset_timeout = fail_max, reset_timeout
        self._failures, self._opened_at = 0, None

    def before(self):
        with self._lock:
            if self._opened_at is not None:
                if time.monotonic() - self._opened_at < self._reset_timeout:
                    raise RuntimeError("open")
                self._opened_at = None

    def after(self, is_good):
        with self._lock:
            self._failures = 0 if is_good else self._failures + 1
            if self._failures >= self._fail_max:
                self._opened_at = time.monotonic()

    def __call__(self, function):
        @functools.wraps(function)
        def call(*args, **kwargs):
            self.before()
            try:
                value = function(*args, **kwargs)
            except Exception:
                self.after(False)
                raise
            self.after(True)
            return value

        return call


def work():
    return None


def candidates(br):
    service = br.service("bench")
    permit = _native.new_permit()
    acquire, pointer = service._now, service._pointer
    cdll = _native.c.CDLL(service.handle.lib.path).breaker_acquire_now
    cdll.argtypes = [_native.c.c_void_p, _native.c.c_void_p]
    plain = PlainBreaker()

    def decide():
        acquire(pointer, permit.at)

    def decide_without_gil():
        cdll(pointer, permit.at)

    def take():
        service.give_back(service.take())

    rows = [("the function alone", work), ("decision (one call, lock kept)", decide),
            ("decision (lock let go)", decide_without_gil),
            ("a permit taken and given back", take),
            ("@guard: asked and told", service.guard(work)),
            ("a plain breaker: decision", plain.before),
            ("a plain breaker: whole", plain(work))]
    try:
        from circuitbreaker import circuit
        rows.append(("circuitbreaker: whole", circuit(work)))
    except ImportError:
        pass
    return rows


def measure(function):
    began = time.perf_counter_ns()
    for _ in range(CALLS):
        function()
    return (time.perf_counter_ns() - began) / CALLS


def main():
    with Breaker(dir=sys.argv[1] if len(sys.argv) > 1 else None) as br:
        service = br.service("bench")
        for _ in range(50):  # until its word is in shared memory
            with service.call():
                time.sleep(0.01)
        rows = candidates(br)
        best = {name: float("inf") for name, _ in rows}
        for _ in range(TURNS):
            for name, function in rows:
                best[name] = min(best[name], measure(function))
        unit = best["a plain breaker: whole"]
        print(br.explain())
        print(f"{'':<34}{'ns a call':>10}{'ratio':>8}")
        for name, ns in best.items():
            print(f"{name:<34}{ns:>10.0f}{ns / unit:>8.2f}")


if __name__ == "__main__":
    main()
