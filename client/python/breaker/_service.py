# SPDX-License-Identifier: Apache-2.0
"""A service: the permit of a call, and what came of it. A permit is asked for by one
call into libbreaker, which decides from shared memory; only where it cannot is the
daemon asked, by a coroutine in a thread, by other code in its own."""
from __future__ import annotations

import asyncio
import ctypes
import threading
import time
from contextvars import ContextVar
from typing import Any, Callable, Dict, List, Optional, Sequence, TypeVar, Union

from . import _native as n
from ._attempts import Attempts
from ._classify import Classifier, Headers, Judge, answer_in
from ._guard import guarded
from ._handle import Handle, warn_on_loop
from .errors import CircuitOpen
from .presets import STANDARD, Preset

F = TypeVar("F", bound=Callable[..., Any])

# Permits kept for the next calls.
_KEPT = 256
# Retries that are granted and not yet made.
_TOKENS_MAX = 1024
_clock_ns = time.perf_counter_ns

# The permit that should_allow_request took, of this task or thread, a service.
_open_calls: ContextVar[Optional[Dict["Service", "Call"]]] = ContextVar(
    "breaker_calls", default=None)


class Service:
    """Made by Breaker.service(); may be used by any thread, task and forked child."""

    __slots__ = ("name", "preset", "handle", "judge", "classifier", "tokens",
                 "ttl_ms", "_pointer", "_free", "_now", "_report", "__weakref__")

    def __init__(self, handle: Handle, name: str, preset: Preset = STANDARD,
                 classify: Optional[Classifier] = None,
                 ttl: Optional[float] = None) -> None:
        self.name = name
        self.preset = preset
        self.handle = handle
        self.classifier = classify
        #: Of leased permits; 0: as configured.
        self.ttl_ms = 0 if ttl is None else max(1, int(ttl * 1000))
        #: Granted retries of this service that no call has spent yet, a context.
        self.tokens: Dict[int, n.Token] = {}
        self._free: List[n.Permit] = []
        self._pointer: int = 0
        lib = handle.lib
        if lib is not None:
            # A NUL would end it.
            octets = name.encode().replace(b"\0", b" ")
            self._pointer = lib.service(handle.pointer, octets) or 0
            if not self._pointer and handle.pointer:
                raise ValueError(f"{name!r}: {lib.error_text().decode()}")
            self.judge = Judge(lib)
            self._now = lib.acquire_now
            self._report = lib.report
            handle.on_close(self._forget)

    def _forget(self) -> None:
        self._pointer = 0

    def __repr__(self) -> str:
        return f"<breaker.Service {self.name}>"

    # ---- a permit; what is returned goes to one of settle, told or give_back ----

    def take(self) -> Optional[n.Permit]:
        """A permit, or CircuitOpen. None: there is no breaker. Where the daemon has
        to be asked it waits for the answer, at most the deadline."""
        pointer = self._pointer
        if not pointer:
            return None
        try:
            permit = self._free.pop()
        except IndexError:
            permit = n.new_permit()
        token = self._token() if self.tokens else None
        verdict = self._now(pointer, permit.at) if token is None else 2
        if verdict == 2:
            warn_on_loop()
            verdict = self.handle.ask(self._ask, pointer, permit, token)
        if verdict == 1:
            return permit
        raise self._denied(permit)

    async def take_async(self) -> Optional[n.Permit]:
        """The same; never waits on the loop's thread."""
        pointer = self._pointer
        if not pointer:
            return None
        try:
            permit = self._free.pop()
        except IndexError:
            permit = n.new_permit()
        token = self._token() if self.tokens else None
        verdict = self._now(pointer, permit.at) if token is None else 2
        if verdict == 2:
            verdict = await self._ask_in_thread(pointer, permit, token)
        if verdict == 1:
            return permit
        raise self._denied(permit)

    def _ask(self, pointer: int, permit: n.Permit, token: Optional[n.Token]) -> int:
        lib = self.handle.lib
        ask = n.sized(n.Ask)
        ask.ttl_ms = self.ttl_ms
        if token is not None:
            ask.token = ctypes.pointer(token)
        verdict = int(lib.acquire_with(pointer, ctypes.byref(ask), permit.at))
        if token is not None and verdict != n.ALLOWED:
            lib.token_release(ctypes.byref(token))
        return verdict

    async def _ask_in_thread(self, pointer: int, permit: n.Permit,
                             token: Optional[n.Token]) -> int:
        asked = self.handle.submit(self._ask, pointer, permit, token)
        try:
            return int(await asyncio.wrap_future(asked))
        except asyncio.CancelledError:
            def back(done: Any) -> None:
                if not done.cancelled() and done.exception() is None:
                    self.give_back(permit)

            asked.add_done_callback(back)
            raise

    def _denied(self, permit: n.Permit) -> CircuitOpen:
        error = CircuitOpen(
            self.name, permit.retry_after_ms / 1000 if permit.retry_after_ms else None,
            self.handle.lib.reason_name(permit.reason).decode(), permit.generation)
        self._free.append(permit)
        return error

    # ---- a retry's token, for those who retry by other means than attempts() ----

    def ask_retry(self, failed: int, result: n.Result) -> n.Token:
        """May wait. A granted token is for the next call of this context."""
        token = n.Token()
        if self._pointer:
            self.handle.ask(self.handle.lib.retry, self._pointer, failed,
                            result.outcome, result.retry_after_ms, ctypes.byref(token))
        else:
            token.reason = 100  # unavailable
        return token

    def keep_token(self, token: n.Token) -> None:
        self.drop_token()
        if len(self.tokens) >= _TOKENS_MAX:
            # The oldest: of a task that was cancelled before its retry.
            self._return_token(self.tokens.pop(next(iter(self.tokens)), None))
        self.tokens[context()] = token

    def drop_token(self) -> None:
        if self.tokens:
            self._return_token(self._token())

    def _return_token(self, token: Optional[n.Token]) -> None:
        if token is not None and self._pointer:
            self.handle.lib.token_release(ctypes.byref(token))

    def _token(self) -> Optional[n.Token]:
        return self.tokens.pop(context(), None)

    # ---- what came of it ----

    def settle(self, permit: Optional[n.Permit], outcome: int, began_ns: int) -> None:
        """By the outcome alone."""
        if permit is None or not self._pointer:
            return
        answer = self._report(permit.at, outcome, (_clock_ns() - began_ns) // 1000)
        if len(self._free) < _KEPT:
            self._free.append(permit)
        if answer == 4:
            self.handle.send_queued()

    def told(self, permit: Optional[n.Permit], result: n.Result, began_ns: int,
             will_retry: bool = False) -> None:
        """By a verdict of the table; without a permit it counts all the same."""
        if not self._pointer:
            return
        details = n.sized(n.Details)
        details.latency_us = (_clock_ns() - began_ns) // 1000 if began_ns else -1
        details.text = result.text or None
        details.will_retry = will_retry
        outcome = result.outcome
        if result.flags & n.RESULT_LOCAL:
            outcome = n.CANCELLED
        elif result.flags & n.RESULT_DELAY_ONLY and outcome == n.RATE_LIMITED:
            outcome = n.REJECTED  # it answered, and means only this call
        elif outcome == n.RATE_LIMITED:
            details.retry_after_ms = result.retry_after_ms
        lib = self.handle.lib
        if permit is None:
            answer = lib.report_service(self._pointer, outcome, ctypes.byref(details))
        else:
            answer = lib.report_with(permit.at, outcome, ctypes.byref(details))
            if len(self._free) < _KEPT:
                self._free.append(permit)
        if answer == n.QUEUED:
            self.handle.send_queued()

    def give_back(self, permit: Optional[n.Permit]) -> None:
        """Unused: no verdict."""
        if permit is None or not self._pointer:
            return
        if permit.verdict == n.ALLOWED and \
                self.handle.lib.release(permit.at) == n.QUEUED:
            self.handle.send_queued()
        self._free.append(permit)

    def failed(self, permit: Optional[n.Permit], error: BaseException, began_ns: int,
               classifier: Optional[Classifier] = None) -> Optional[n.Result]:
        """An exception came of it."""
        if not self._pointer:
            return None
        try:
            result = self.judge.exception(error, classifier or self.classifier)
        except BaseException:  # the classifier's own, or no outcome's word
            self.give_back(permit)
            raise
        if permit is not None or result.outcome != n.CANCELLED:
            self.told(permit, result, began_ns)
        return result

    def returned(self, permit: Optional[n.Permit], value: Any, began_ns: int) -> None:
        """A value came of it; one that is an HTTP answer is judged."""
        answer = None if getattr(value, "headers", None) is None else answer_in(value)
        if permit is None or answer is None or answer[0] < 400 or not self._pointer:
            self.settle(permit, n.SUCCESS, began_ns)
        else:
            self.told(permit, self.judge.http(*answer), began_ns)

    # ---- what users call ----

    def guard(self, function: Optional[F] = None, *,
              fallback: Optional[Callable[[CircuitOpen], Any]] = None,
              ignore: Sequence[type] = (),
              classify: Optional[Classifier] = None) -> Any:
        """Decorates a plain, async, generator or async generator function: it is
        called only while the service may be, and what comes of it is told. What
        is raised when it may not be goes to `fallback` instead, if there is one.
        Errors in `ignore` are no verdict; `classify(error)` may name an outcome."""
        def decorate(wrapped: F) -> F:
            return guarded(self, wrapped, fallback, _classifier(ignore, classify))

        return decorate if function is None else decorate(function)

    def call(self) -> "Call":
        """`with service.call() as c:` (or `async with`, which never waits on the
        loop's thread), with c.result(status, headers) inside where there is one."""
        return Call(self)

    def attempts(self, max: int = 0, deadline: Optional[float] = None, *,
                 preset: Optional[Preset] = None, timeout: Optional[float] = None,
                 wait: Optional[bool] = None,
                 services: Sequence["Service"] = (),
                 classify: Optional[Classifier] = None) -> Attempts:
        """`for attempt in service.attempts(max=3, deadline=20): with attempt: ...`
        or `async for`. Every retry takes a token of the fleet's budget; waits are
        the fleet's, or what the upstream asked for. With a deadline (seconds) a
        service that is open is waited for."""
        return Attempts(self, max, deadline, preset or self.preset, timeout, wait,
                        services, classify or self.classifier)

    def should_allow_request(self) -> bool:
        """True: make the call, then record_success() or record_failure()."""
        call = Call(self)
        try:
            call.__enter__()
        except CircuitOpen:
            return False
        calls = _open_calls.get()
        _open_calls.set({**(calls or {}), self: call})
        return True

    def record_success(self) -> None:
        self._record("success")

    def record_failure(self, error: Union[BaseException, str, None] = None) -> None:
        """`error`: an exception, or an outcome's word ("timeout")."""
        self._record("failure" if error is None else error)

    def _record(self, what: Union[BaseException, str]) -> None:
        if not self._pointer:
            return
        result = self.judge.word(what) if isinstance(what, str) \
            else self.judge.exception(what, self.classifier)
        calls = _open_calls.get()
        call = calls.get(self) if calls else None
        if call is None or calls is None:
            self.told(None, result, 0)
            return
        _open_calls.set({k: v for k, v in calls.items() if k is not self})
        call.tell(result)


def _classifier(ignore: Sequence[type], classify: Optional[Classifier]) -> Optional[Classifier]:
    if not ignore:
        return classify
    kinds = tuple(ignore)

    def judge(error: BaseException) -> Optional[str]:
        if isinstance(error, kinds):
            return "cancelled"
        return classify(error) if classify is not None else None

    return judge


def context() -> int:
    """The running task, else the thread."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return id(task) if task is not None else -threading.get_ident()


class Call:
    """One call, as a context manager."""

    __slots__ = ("_service", "_permit", "_began_ns", "_is_told", "_result")

    def __init__(self, service: Service) -> None:
        self._service = service
        self._permit: Optional[n.Permit] = None
        self._began_ns = 0
        self._is_told = True
        self._result: Optional[n.Result] = None

    def _begin(self, permit: Optional[n.Permit]) -> "Call":
        self._permit = permit
        self._is_told = False
        self._result = None
        self._began_ns = _clock_ns()
        return self

    def __enter__(self) -> "Call":
        return self._begin(self._service.take())

    async def __aenter__(self) -> "Call":
        return self._begin(await self._service.take_async())

    def __exit__(self, _kind: Any, error: Optional[BaseException], _trace: Any) -> None:
        if self._is_told:
            if isinstance(error, Exception):
                self._service.failed(None, error, self._began_ns)
            return
        self._is_told = True
        if error is not None and self._result is None:
            self._service.failed(self._permit, error, self._began_ns)
        elif self._result is not None:
            self._service.told(self._permit, self._result, self._began_ns)
        else:
            self._service.settle(self._permit, n.SUCCESS, self._began_ns)
        self._permit = None

    async def __aexit__(self, kind: Any, error: Optional[BaseException], trace: Any) -> None:
        self.__exit__(kind, error, trace)

    @property
    def service(self) -> str:
        """The one to call: of a route its member."""
        permit, lib = self._permit, self._service.handle.lib
        if permit is None or not self._service._pointer or not permit.service:
            return self._service.name
        return str(lib.service_name(permit.service).decode())

    def result(self, status: int, headers: Optional[Headers] = None,
               body: Any = None) -> str:
        """What answered: counted at the end. Returns the outcome's word."""
        if not self._service._pointer:
            return "success" if status < 400 else "failure"
        return self.outcome_of(self._service.judge.http(status, headers, body))

    def outcome(self, word: str, text: str = "") -> None:
        """The outcome by its word ("timeout")."""
        if self._service._pointer:
            self.outcome_of(self._service.judge.word(word, text))

    def outcome_of(self, result: n.Result) -> str:
        self._result = result
        return str(self._service.handle.lib.outcome_name(result.outcome).decode())

    def first_byte(self) -> None:
        """The answer has begun, and that is the verdict: what may still break is
        told when the block ends."""
        if not self._is_told and self._result is None:
            self._service.settle(self._permit, n.SUCCESS, self._began_ns)
            self._permit = None
            self._is_told = True

    def tell(self, result: n.Result) -> None:
        self._result = result
        self.__exit__(None, None, None)
