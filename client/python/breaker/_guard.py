# SPDX-License-Identifier: Apache-2.0
"""Functions that are called only while their service may be: of all four kinds."""
from __future__ import annotations

import functools
import inspect
import time
from types import CoroutineType
from typing import TYPE_CHECKING, Any, AsyncIterator, Callable, Iterator, Optional, cast

from . import _native as n
from ._classify import Classifier
from .errors import CircuitOpen

if TYPE_CHECKING:
    from ._service import F, Service

Fallback = Optional[Callable[[CircuitOpen], Any]]
_clock_ns = time.perf_counter_ns


def guarded(service: "Service", function: "F", fallback: Fallback,
            classifier: Optional[Classifier]) -> "F":
    if inspect.isasyncgenfunction(function):
        kind: Any = _async_generator
    elif inspect.isgeneratorfunction(function):
        kind = _generator
    elif inspect.iscoroutinefunction(function):
        kind = _coroutine
    else:
        kind = _plain
    return cast("F", functools.wraps(function)(
        kind(service, function, fallback, classifier)))


def _plain(service: "Service", function: Callable[..., Any], fallback: Fallback,
           classifier: Optional[Classifier]) -> Callable[..., Any]:
    take, returned, failed = service.take, service.returned, service.failed

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            permit = take()
        except CircuitOpen as e:
            if fallback is None:
                raise
            return fallback(e)
        began_ns = _clock_ns()
        try:
            value = function(*args, **kwargs)
        except BaseException as e:
            failed(permit, e, began_ns, classifier)
            raise
        if isinstance(value, CoroutineType):
            return _made(service, permit, value, began_ns, classifier)
        returned(permit, value, began_ns)
        return value

    return call


async def _made(service: "Service", permit: Optional[n.Permit], coroutine: Any,
                began_ns: int, classifier: Optional[Classifier]) -> Any:
    """A coroutine that a plain function returned, as SDKs wrap theirs: the verdict is
    what it ends with."""
    try:
        value = await coroutine
    except BaseException as e:
        service.failed(permit, e, began_ns, classifier)
        raise
    service.returned(permit, value, began_ns)
    return value


def _coroutine(service: "Service", function: Callable[..., Any], fallback: Fallback,
               classifier: Optional[Classifier]) -> Callable[..., Any]:
    take, returned, failed = service.take_async, service.returned, service.failed

    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            permit = await take()
        except CircuitOpen as e:
            if fallback is None:
                raise
            value = fallback(e)
            return await value if inspect.isawaitable(value) else value
        began_ns = _clock_ns()
        try:
            value = await function(*args, **kwargs)
        except BaseException as e:
            failed(permit, e, began_ns, classifier)
            raise
        returned(permit, value, began_ns)
        return value

    return call


class _Stream:
    """The verdict on a stream: at its end, or at its first item where the preset
    streams. What breaks after that is a failure nobody held a permit for."""

    def __init__(self, service: "Service", permit: Optional[n.Permit],
                 classifier: Optional[Classifier]) -> None:
        self.service, self.permit, self.classifier = service, permit, classifier
        self.began_ns = _clock_ns()
        self.is_told = False

    def item(self) -> None:
        if self.service.preset.streams:
            self.end()

    def end(self) -> None:
        if not self.is_told:
            self.is_told = True
            self.service.settle(self.permit, n.SUCCESS, self.began_ns)

    def broken(self, error: BaseException) -> None:
        permit = None if self.is_told else self.permit
        # Nobody's verdict, and none is owed.
        if self.is_told and isinstance(error, GeneratorExit):
            return
        self.is_told = True
        self.service.failed(permit, error, self.began_ns, self.classifier)


def _generator(service: "Service", function: Callable[..., Any], fallback: Fallback,
               classifier: Optional[Classifier]) -> Callable[..., Iterator[Any]]:
    def items(stream: _Stream, source: Iterator[Any]) -> Iterator[Any]:
        for item in source:
            stream.item()
            yield item

    def call(*args: Any, **kwargs: Any) -> Iterator[Any]:
        try:
            permit = service.take()
        except CircuitOpen as e:
            if fallback is None:
                raise
            yield from _as_items(fallback(e))
            return
        stream = _Stream(service, permit, classifier)
        source = function(*args, **kwargs)
        try:
            # Where the items do not matter, send() and throw() reach the source.
            value = yield from (items(stream, source) if service.preset.streams else source)
        except BaseException as e:
            stream.broken(e)
            source.close()
            raise
        stream.end()
        return value

    return call


def _async_generator(service: "Service", function: Callable[..., Any], fallback: Fallback,
                     classifier: Optional[Classifier]) -> Callable[..., AsyncIterator[Any]]:
    async def call(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        try:
            permit = await service.take_async()
        except CircuitOpen as e:
            if fallback is None:
                raise
            async for item in _as_async_items(fallback(e)):
                yield item
            return
        stream = _Stream(service, permit, classifier)
        source = function(*args, **kwargs)
        try:
            async for item in source:
                stream.item()
                yield item
        except BaseException as e:
            stream.broken(e)
            await source.aclose()
            raise
        stream.end()

    return call


def _as_items(value: Any) -> Any:
    """A fallback may give all items, or the only one."""
    if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__iter__"):
        return (value,)
    return value


async def _as_async_items(value: Any) -> AsyncIterator[Any]:
    """The same, and a fallback may be any of the four kinds itself."""
    if inspect.isawaitable(value):
        value = await value
    if hasattr(value, "__aiter__"):
        async for item in value:
            yield item
        return
    for item in _as_items(value):
        yield item
