# SPDX-License-Identifier: Apache-2.0
"""httpx, and with it the SDKs that are built on it: every request asks first, every
answer is told, and an SDK's own retries draw on the fleet's budget."""
from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, AsyncIterator, Iterator, Optional

import httpx

from . import _native as n
from ._hosts import denial
from ._service import Service
from .errors import CircuitOpen, RetryBudgetExhausted

if TYPE_CHECKING:
    from ._breaker import Breaker

_clock_ns = time.perf_counter_ns
# What a client that retries by itself says of an attempt, from 0.
_COUNT = "x-stainless-retry-count"
_RETRYABLE = (n.FAILURE, n.TIMEOUT, n.RATE_LIMITED)


def _denied(error: BaseException, kind: str, request: httpx.Request) -> httpx.Response:
    status, headers, body = denial(error, kind)
    return httpx.Response(status, headers=headers, content=body, request=request,
                          extensions={"breaker_error": error})


class _Exchange:
    """One request of either kind of transport."""

    def __init__(self, breaker: "Breaker", name: Optional[str], retries: Optional[bool],
                 request: httpx.Request) -> None:
        self.request = request
        self.service: Service = breaker.service(name) if name is not None \
            else breaker.service_of(request.url.host, request.url.port)
        count = request.headers.get(_COUNT, "")
        self.number = int(count) + 1 if count.isdecimal() and len(count) < 4 else 1
        self.is_retried = bool(count) if retries is None else retries
        self.permit: Optional[n.Permit] = None
        self.began_ns = 0
        if self.number == 1:
            self.service.drop_token()  # of a retry that was never made

    def began(self, permit: Optional[n.Permit]) -> None:
        self.permit, self.began_ns = permit, _clock_ns()

    def broken(self, error: BaseException) -> Optional[n.Result]:
        """The verdict, when the caller will try again unless it is told not to."""
        result = self.service.failed(self.permit, error, self.began_ns)
        return result if self.is_retried and isinstance(error, Exception) else None

    def answered(self, response: httpx.Response) -> Optional[n.Result]:
        """As broken(). The body of an error has been read by now."""
        if self.permit is None:
            return None
        if response.status_code < 400:
            self.service.settle(self.permit, n.SUCCESS, self.began_ns)
            return None
        result = self.service.judge.http(response.status_code, response.headers,
                                         response.content)
        self.service.told(self.permit, result, self.began_ns)
        return result if self.is_retried else None

    def broken_later(self, error: BaseException) -> None:
        """The headers were the verdict; then the body broke off."""
        if isinstance(error, Exception):
            self.service.failed(None, error, self.began_ns)

    def ask(self, result: n.Result) -> Optional[n.Token]:
        """May wait. None: what came is not retried in any case."""
        if result.outcome not in _RETRYABLE or self.permit is None:
            return None
        return self.service.ask_retry(self.number, result)

    def govern(self, response: httpx.Response, result: n.Result,
               token: Optional[n.Token]) -> httpx.Response:
        """Says in the client's own words whether, and when, it may try again."""
        headers: Any = response.headers
        if token is None or token.verdict != n.ALLOWED:
            headers["x-should-retry"] = "false"
            return response
        self.service.keep_token(token)
        headers["x-should-retry"] = "true"
        if result.retry_after_ms == 0:
            headers["retry-after-ms"] = str(token.delay_ms)
        return response

    def final(self, error: BaseException, token: Optional[n.Token]) -> Optional[httpx.Response]:
        """An answer that ends the client's retries after an error; None: it may
        have the error, and retry."""
        if token is None:
            return None
        if token.verdict == n.ALLOWED:
            self.service.keep_token(token)
            return None
        reason = self.service.handle.lib.reason_name(token.reason).decode()
        after = token.retry_after_ms / 1000 if token.retry_after_ms else None
        refusal = RetryBudgetExhausted(self.service.name, after, reason)
        refusal.__cause__ = error
        return _denied(refusal, "retry_denied", self.request)


class _Stream(httpx.SyncByteStream):
    def __init__(self, inner: Any, exchange: _Exchange) -> None:
        self._inner, self._exchange = inner, exchange

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._inner
        except BaseException as e:
            self._exchange.broken_later(e)
            raise

    def close(self) -> None:
        self._inner.close()


class _AsyncStream(httpx.AsyncByteStream):
    def __init__(self, inner: Any, exchange: _Exchange) -> None:
        self._inner, self._exchange = inner, exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._inner:
                yield part
        except BaseException as e:
            self._exchange.broken_later(e)
            raise

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Transport(httpx.BaseTransport):
    def __init__(self, breaker: "Breaker", inner: httpx.BaseTransport, name: Optional[str],
                 retries: Optional[bool]) -> None:
        self._breaker, self._inner = breaker, inner
        self._name, self._retries = name, retries

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        exchange = _Exchange(self._breaker, self._name, self._retries, request)
        try:
            exchange.began(exchange.service.take())
        except CircuitOpen as e:
            return _denied(e, "circuit_open", request)
        try:
            response = self._inner.handle_request(request)
            if response.status_code >= 400:
                response.request = request
                response.read()
        except BaseException as e:
            result = exchange.broken(e)
            final = exchange.final(e, exchange.ask(result)) if result is not None else None
            if final is None:
                raise
            return final
        result = exchange.answered(response)
        if result is not None:
            return exchange.govern(response, result, exchange.ask(result))
        if response.status_code < 400:
            response.stream = _Stream(response.stream, exchange)
        return response

    def close(self) -> None:
        self._inner.close()


class _AsyncTransport(httpx.AsyncBaseTransport):
    def __init__(self, breaker: "Breaker", inner: httpx.AsyncBaseTransport,
                 name: Optional[str], retries: Optional[bool]) -> None:
        self._breaker, self._inner = breaker, inner
        self._name, self._retries = name, retries

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        exchange = _Exchange(self._breaker, self._name, self._retries, request)
        try:
            exchange.began(await exchange.service.take_async())
        except CircuitOpen as e:
            return _denied(e, "circuit_open", request)
        try:
            response = await self._inner.handle_async_request(request)
            if response.status_code >= 400:
                response.request = request
                await response.aread()
        except BaseException as e:
            result = exchange.broken(e)
            final = exchange.final(e, await self._ask(exchange, result)) \
                if result is not None else None
            if final is None:
                raise
            return final
        result = exchange.answered(response)
        if result is not None:
            return exchange.govern(response, result, await self._ask(exchange, result))
        if response.status_code < 400:
            response.stream = _AsyncStream(response.stream, exchange)
        return response

    @staticmethod
    async def _ask(exchange: _Exchange, result: n.Result) -> Optional[n.Token]:
        if result.outcome not in _RETRYABLE or exchange.permit is None:
            return None
        return await asyncio.wrap_future(
            exchange.service.handle.submit(exchange.ask, result))

    async def aclose(self) -> None:
        await self._inner.aclose()


def transport(breaker: "Breaker", inner: Any, name: Optional[str],
              retries: Optional[bool]) -> httpx.BaseTransport:
    return _Transport(breaker, inner or httpx.HTTPTransport(), name, retries)


def async_transport(breaker: "Breaker", inner: Any, name: Optional[str],
                    retries: Optional[bool]) -> httpx.AsyncBaseTransport:
    return _AsyncTransport(breaker, inner or httpx.AsyncHTTPTransport(), name, retries)
