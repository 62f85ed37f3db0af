# SPDX-License-Identifier: Apache-2.0
"""tenacity: what it retries takes a token of the fleet's budget. The function itself
is guarded, by @guard or a hook of ours; the next call of the same task or thread
spends the token."""
from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Dict, Tuple

from tenacity import RetryCallState
from tenacity.retry import retry_base
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from . import _native as n
from ._service import Service, context, warn_on_loop
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


class _Stop(stop_base):
    """Asks for the token: it ends where the fleet has none."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def __call__(self, retry_state: RetryCallState) -> bool:
        result = _result(self._service, retry_state)
        if result is None:
            return True
        sleep = getattr(retry_state.retry_object, "sleep", None)
        if isinstance(sleep, _Sleep):
            sleep.owed[context()] = (retry_state.attempt_number, result,
                                     _error(retry_state))
            return False
        warn_on_loop()
        token = self._service.ask_retry(retry_state.attempt_number, result)
        if token.verdict != n.ALLOWED:
            return True
        self._service.keep_token(token)
        return False


class _Wait(wait_base):
    """As long as the fleet says."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def __call__(self, retry_state: RetryCallState) -> float:
        token = self._service.peek_token()
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
