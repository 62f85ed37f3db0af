# SPDX-License-Identifier: Apache-2.0
"""aiohttp: a trace that asks before each request. It sees status and headers; a
verdict that is in the body alone (money that ran out) is for `async with call()`."""
from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Callable, Optional

import aiohttp

from . import _native as n
from ._service import Service

if TYPE_CHECKING:
    from ._breaker import Breaker


class Request:
    """One request that was let through."""

    __slots__ = ("service", "permit", "began_ns")

    def __init__(self, service: Service, permit: Optional[n.Permit]) -> None:
        self.service = service
        self.permit = permit
        self.began_ns = time.perf_counter_ns()

    def answered(self, status: int, headers: Any) -> None:
        if self.permit is None:
            return
        if status < 400:
            self.service.settle(self.permit, n.SUCCESS, self.began_ns)
        else:
            self.service.told(self.permit, self.service.judge.http(status, headers),
                              self.began_ns)

    def broken(self, error: BaseException) -> None:
        self.service.failed(self.permit, error, self.began_ns)


Begin = Callable[[Any], Any]


def trace_of(begin: Begin) -> aiohttp.TraceConfig:
    """`begin(url)` is awaited and returns a Request, or None: not ours."""
    config = aiohttp.TraceConfig()

    async def start(_session: Any, context: Any, params: Any) -> None:
        context.request = None
        context.request = await begin(params.url)

    async def end(_session: Any, context: Any, params: Any) -> None:
        if context.request is not None:
            context.request.answered(params.response.status, params.response.headers)

    async def broken(_session: Any, context: Any, params: Any) -> None:
        if context.request is not None:
            context.request.broken(params.exception)

    config.on_request_start.append(start)
    config.on_request_end.append(end)
    config.on_request_exception.append(broken)
    return config


def trace(breaker: "Breaker", name: Optional[str]) -> aiohttp.TraceConfig:
    async def begin(url: Any) -> Request:
        service = breaker.service(name) if name is not None \
            else breaker.service_of(url.host, None if url.is_default_port() else url.port)
        return Request(service, await service.take_async())

    return trace_of(begin)
