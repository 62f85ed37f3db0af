# SPDX-License-Identifier: Apache-2.0
"""tenacity: what it retries takes a token of the fleet's budget. The function itself
is guarded, by @guard or a hook of ours; the next call of the same task or thread
spends the token."""
from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple, cast

from tenacity import RetryCallState
from tenacity.retry import retry_base
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from . import _native as n
from ._handle import warn_on_loop
from ._service import Service, context
from .errors import BreakerError, RetryBudgetExhausted

if TYPE_CHECKING:
    from ._breaker import Breaker

_RETRYABLE = (n.FAILURE, n.TIMEOUT, n.RATE_LIMITED)


def _error(state: RetryCallState) -> Any:
    return state.outcome.exception() if state.outcome is not None else None


def _result(service: Service, state: RetryCallState) -> Any:
    error = _error(state)
    if not service._pointer or error is None or isinstance(error, BreakerError):
        return None
    return service.judge.exception(error, service.classifier)


class _Retry(retry_base):
    """Retried is what the table says may be."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def __call__(self, retry_state: RetryCallState) -> bool:
        result = _result(self._service, retry_state)
        return result is not None and result.outcome in _RETRYABLE


def _token(service: Service, state: RetryCallState) -> Optional[n.Token]:
    """Of the next attempt, granted or not. Asked for once: by the stop or the wait,
    which tenacity's versions ask in either order."""
    result = _result(service, state)
    if result is None:
        return None
    number, token = getattr(state, "breaker_token", (0, None))
    if number != state.attempt_number:
        warn_on_loop()
        token = service.ask_retry(state.attempt_number, result)
        if token.verdict == n.ALLOWED:
            service.keep_token(token)
        setattr(state, "breaker_token", (state.attempt_number, token))
    return cast("Optional[n.Token]", token)


def _sleep_of(state: RetryCallState) -> Optional["_Sleep"]:
    sleep = getattr(state.retry_object, "sleep", None)
    return sleep if isinstance(sleep, _Sleep) else None


class _Stop(stop_base):
    """It ends where the fleet has no token."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def __call__(self, retry_state: RetryCallState) -> bool:
        sleep = _sleep_of(retry_state)
        if sleep is None:
            token = _token(self._service, retry_state)
            return token is None or token.verdict != n.ALLOWED
        result = _result(self._service, retry_state)
        if result is not None:
            sleep.owed[context()] = (retry_state.attempt_number, result,
                                     _error(retry_state))
        return result is None


class _Wait(wait_base):
    """As long as the fleet says."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def __call__(self, retry_state: RetryCallState) -> float:
        if _sleep_of(retry_state) is not None:
            return 0.0
        token = _token(self._service, retry_state)
        return float(token.delay_ms / 1000) if token is not None else 0.0


class _Sleep:
    """For coroutines: the token is asked for in a thread, and denied by an error."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.owed: Dict[int, Tuple[int, n.Result, Any]] = {}

    async def __call__(self, _seconds: float) -> None:
        failed, result, error = self.owed.pop(context())
        handle = self._service.handle
        token = await asyncio.wrap_future(handle.submit(
            self._service.ask_retry, failed, result))
        if token.verdict == n.ALLOWED:
            self._service.keep_token(token)
            await asyncio.sleep(token.delay_ms / 1000)
            return
        reason = handle.lib.reason_name(token.reason).decode()
        after = token.retry_after_ms / 1000 if token.retry_after_ms else None
        raise RetryBudgetExhausted(self._service.name, after, reason) from error


class Tenacity:
    def __init__(self, breaker: "Breaker") -> None:
        self._breaker = breaker

    def retry(self, name: str) -> retry_base:
        return _Retry(self._breaker.service(name))

    def stop(self, name: str) -> stop_base:
        return _Stop(self._breaker.service(name))

    def wait(self, name: str) -> wait_base:
        return _Wait(self._breaker.service(name))

    def sleep(self, name: str) -> Any:
        """For coroutines, with the other three: nothing waits on the loop's thread."""
        return _Sleep(self._breaker.service(name))
