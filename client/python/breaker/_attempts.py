# SPDX-License-Identifier: Apache-2.0
"""Attempts of one call: libbreaker's machine of whole calls (docs/calls.md) says when
another is made and for how long to wait before; here they are handed out."""
from __future__ import annotations

import asyncio
import ctypes
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, AsyncIterator, Callable, Iterator, Optional, Sequence

from . import _native as n
from ._classify import Classifier, Headers
from ._handle import warn_on_loop
from .errors import BreakerError, CircuitOpen, RetryBudgetExhausted
from .presets import Preset

if TYPE_CHECKING:
    from ._service import Service

_ON_DENY = {None: 0, False: 1, True: 2}


def _ms(seconds: Optional[float]) -> int:
    return 0 if seconds is None else max(1, int(seconds * 1000))


class Attempt:
    """`with attempt:`, and attempt.result(status, headers) inside where an answer is
    no exception. An error that is followed by another attempt ends here."""

    __slots__ = ("_all", "number", "timeout", "service", "_result", "_error", "_is_over")

    def __init__(self, attempts: "Attempts", number: int, timeout: Optional[float],
                 service: str) -> None:
        self._all = attempts
        #: From 1.
        self.number = number
        #: Seconds that it may take; None: as long as it likes.
        self.timeout = timeout
        #: The one to call: of a route or chain its member.
        self.service = service
        self._result: Optional[n.Result] = None
        self._error: Optional[BaseException] = None
        self._is_over = False

    def result(self, status: int, headers: Optional[Headers] = None, body: Any = None) -> None:
        if self._all.call:
            self._result = self._all.service.judge.http(status, headers, body)

    def outcome(self, word: str, text: str = "") -> None:
        if self._all.call:
            self._result = self._all.service.judge.word(word, text)

    def __enter__(self) -> "Attempt":
        return self

    def __exit__(self, _kind: Any, error: Optional[BaseException], _trace: Any) -> bool:
        self._is_over = True
        self._error = error
        attempts = self._all
        if not attempts.call:
            return False
        if error is not None and self._result is None:
            self._result = attempts.service.judge.exception(error, attempts.classifier)
        if error is not None and not isinstance(error, Exception):
            attempts.end()
            return False
        if self._result is None or self._result.outcome == n.SUCCESS:
            attempts.finish(self)
            return False
        if attempts.is_async:
            # Whether another follows is asked for by the loop, in a thread.
            return error is not None
        attempts.finish(self)
        if error is None:
            return False
        return attempts.peek() != n.STEP_DONE or attempts.raise_end(error)

    async def __aenter__(self) -> "Attempt":
        return self

    async def __aexit__(self, kind: Any, error: Optional[BaseException], trace: Any) -> bool:
        return self.__exit__(kind, error, trace)


class Attempts:
    """What service.attempts() gives: iterated once."""

    def __init__(self, service: "Service", most: int, deadline: Optional[float],
                 preset: Preset, timeout: Optional[float], wait: Optional[bool],
                 services: Sequence["Service"], classifier: Optional[Classifier]) -> None:
        if most < 0 or (deadline is not None and deadline <= 0):
            raise ValueError("max is not negative, and a deadline is in the future")
        self.service = service
        self.classifier = classifier
        self.is_async = False
        self.call = 0
        self._step = n.sized(n.Step)
        self._kind = 0  # of the step; 0: to be asked for
        self._out: Optional[Attempt] = None  # made, or being made
        self._last: Optional[Attempt] = None
        self._busy: Optional["Future[Any]"] = None
        self._options = options = n.sized(n.CallOptions)
        options.preset = preset.number
        options.max_attempts = most
        options.deadline_ms = _ms(deadline)
        options.attempt_timeout_ms = _ms(timeout)
        options.on_deny = _ON_DENY[wait]
        if services:
            pointers = [s._pointer for s in services]
            self._chain = (ctypes.c_void_p * len(pointers))(*pointers)
            options.services = ctypes.addressof(self._chain)
            options.service_count = len(pointers)

    # ---- the machine; `next` and a failure's `result` may wait ----

    def _begin(self) -> None:
        pointer, lib = self.service._pointer, self.service.handle.lib
        if not pointer:
            return
        self.call = lib.call_begin(pointer, ctypes.byref(self._options)) or 0
        if not self.call:
            raise ValueError(lib.error_text().decode())

    def peek(self) -> int:
        """The kind of the step that is next; of an attempt, it is handed out once."""
        if self._kind == 0 and self.call:
            self._kind = self.service.handle.ask(
                self.service.handle.lib.call_next, self.call, ctypes.byref(self._step))
        return self._kind

    def finish(self, attempt: Attempt) -> None:
        lib, result = self.service.handle.lib, attempt._result
        self._last, self._out = attempt, None
        if result is None:
            result = self.service.judge.word("success")
        if result.outcome == n.SUCCESS:
            lib.call_success(self.call, ctypes.byref(result))
        else:
            self.service.handle.ask(lib.call_result, self.call, ctypes.byref(result))
        self._kind = 0

    def end(self) -> Optional[n.Summary]:
        """Whatever is out is told cancelled."""
        if self._busy is not None and not self._busy.done():
            # A thread is with it: a task was cancelled.
            self._busy.add_done_callback(lambda _done: self.end())
            return None
        if self._out is not None and self._out._result is not None and self.call:
            # It was left with an answer that is no success, and a loop's thread.
            self._busy = self.service.handle.submit(self.finish, self._out)
            self._out = None
            return self.end()
        call, self.call = self.call, 0
        if not call or not self.service._pointer:
            return None
        summary: n.Summary = n.sized(n.Summary)
        at = ctypes.c_void_p(call)
        self.service.handle.lib.call_end(ctypes.byref(at), ctypes.byref(summary))
        return summary

    def raise_end(self, error: Optional[BaseException]) -> bool:
        """The call is over: raises what the fleet says, from `error`. False: what the
        attempt itself raised is what it ends with."""
        summary = self.end()
        if summary is None or summary.stop == n.STOP_SUCCESS:
            return False
        kind: Any = {n.STOP_BUDGET: RetryBudgetExhausted, n.STOP_OPEN: CircuitOpen,
                     n.STOP_UNAVAILABLE: CircuitOpen}.get(summary.stop)
        is_made = self._last is not None
        if kind is None and not is_made:
            kind = BreakerError  # the deadline came first
        # An answer without an exception is the caller's to look at.
        if kind is None or (is_made and error is None):
            return False
        name = self.service.handle.lib.service_name(summary.service or self.service._pointer)
        after = summary.retry_after_ms
        reason = self.service.handle.lib.reason_name(summary.reason).decode()
        raise kind(name.decode(), after / 1000 if after else None,
                   reason if summary.reason else "deadline") from error

    def _hand_out(self) -> Attempt:
        step = self._step.attempt
        name = self.service.handle.lib.service_name(step.service).decode()
        self._kind = 0
        self._out = Attempt(self, step.total, step.timeout_ms / 1000, name)
        return self._out

    def _unguarded(self) -> Attempt:
        return Attempt(self, 1, None, self.service.name)

    # ---- threads ----

    def __iter__(self) -> Iterator[Attempt]:
        self._begin()
        if not self.call:
            yield self._unguarded()
            return
        try:
            while self.call:
                kind = self.peek()
                if kind == n.STEP_WAIT:
                    warn_on_loop()
                    time.sleep(self._step.wait_ms / 1000)
                    self._kind = 0
                elif kind == n.STEP_ATTEMPT:
                    attempt = self._hand_out()
                    yield attempt
                    if not attempt._is_over:
                        raise RuntimeError("an attempt is made inside `with attempt:`")
                else:
                    self.raise_end(None)
        finally:
            self.end()

    # ---- event loops ----

    async def _threaded(self, function: Callable[..., Any], *args: Any) -> Any:
        self._busy = self.service.handle.submit(function, *args)
        return await asyncio.wrap_future(self._busy)

    async def __aiter__(self) -> AsyncIterator[Attempt]:
        self.is_async = True
        self._begin()
        if not self.call:
            yield self._unguarded()
            return
        error: Optional[BaseException] = None
        try:
            while self.call:
                kind = await self._threaded(self.peek)
                if kind == n.STEP_WAIT:
                    await asyncio.sleep(self._step.wait_ms / 1000)
                    self._kind = 0
                elif kind == n.STEP_ATTEMPT:
                    attempt = self._hand_out()
                    yield attempt
                    if not attempt._is_over:
                        raise RuntimeError("an attempt is made inside `with attempt:`")
                    error = attempt._error
                    if self._out is attempt and self.call:
                        await self._threaded(self.finish, attempt)
                else:
                    self.raise_end(error)
                    if error is not None:
                        raise error
        finally:
            self.end()
