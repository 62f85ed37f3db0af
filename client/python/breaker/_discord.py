# SPDX-License-Identifier: Apache-2.0
"""Discord: a trace for discord.py's client. Two gates: the service itself, and
NAME:invalid, which is opened before Discord bans the address: 10,000 requests that it
refuses with 401, 403 or 429 (but a shared limit's) within ten minutes do that. What
NAME:invalid has to be configured to is in examples/discord.conf."""
from __future__ import annotations

import asyncio
import ctypes
import json
import time
from typing import TYPE_CHECKING, Any, Collection, Optional

import aiohttp

from . import _native as n
from ._aiohttp import Request, trace_of
from ._handle import log
from ._service import Service

if TYPE_CHECKING:
    from ._breaker import Breaker

_INVALID = frozenset({401, 403, 429})
_CONFIG_SIZE = 65536
_LOOK_AGAIN_S = 10.0


def is_invalid(status: int, headers: Any) -> bool:
    """Whether Discord counts this answer towards a ban."""
    if status not in _INVALID:
        return False
    return status != 429 or str(headers.get("X-RateLimit-Scope", "")).lower() != "shared"


class InvalidGate:
    """The fleet's count of invalid requests: failures are all it is ever told while
    it is closed, so its rate is 1 and the number alone decides."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._is_configured: Optional[bool] = None
        self._look_again = 0.0

    async def take(self) -> Optional[n.Permit]:
        if self._is_configured is None and time.monotonic() >= self._look_again:
            self._look_again = time.monotonic() + _LOOK_AGAIN_S
            await self._look()
        return await self.service.take_async() if self._is_configured else None

    async def _look(self) -> None:
        """With the defaults of any service it would open at five failures."""
        if not self.service._pointer:
            return
        text = await asyncio.wrap_future(self.service.handle.submit(self._config))
        if text is None:
            return  # no daemon now: looked for again later
        try:
            threshold = json.loads(text)["config"]["failure_threshold"]["value"]
        except (ValueError, KeyError, TypeError):
            threshold = None
        self._is_configured = threshold == "0"
        if not self._is_configured:
            log.warning("invalid requests are not counted: breakerd has no [service %s] "
                        "with failure_threshold = 0 (see examples/discord.conf)",
                        self.service.name)

    def _config(self) -> Optional[bytes]:
        room = ctypes.create_string_buffer(_CONFIG_SIZE)
        handle = self.service.handle
        length = handle.lib.config(handle.pointer, self.service._pointer, room, len(room))
        if length == n.ERROR_UNAVAILABLE:
            return None
        return room.value if length > 0 else b""

    def told(self, permit: Optional[n.Permit], began_ns: int, is_bad: bool) -> None:
        if permit is None:
            return
        if is_bad:
            self.service.settle(permit, n.FAILURE, began_ns)
        elif permit.id != 0:
            # Half open: an answer that is valid is what it waits for.
            self.service.settle(permit, n.SUCCESS, began_ns)
        else:
            self.service.give_back(permit)


class _Request(Request):
    __slots__ = ("gate", "gate_permit")

    def __init__(self, service: Service, permit: Optional[n.Permit], gate: InvalidGate,
                 gate_permit: Optional[n.Permit]) -> None:
        super().__init__(service, permit)
        self.gate, self.gate_permit = gate, gate_permit

    def answered(self, status: int, headers: Any) -> None:
        self.gate.told(self.gate_permit, self.began_ns, is_invalid(status, headers))
        super().answered(status, headers)

    def broken(self, error: BaseException) -> None:
        self.gate.service.give_back(self.gate_permit)
        super().broken(error)


def trace(breaker: "Breaker", name: str, hosts: Collection[str]) -> aiohttp.TraceConfig:
    service = breaker.service(name)
    gate = InvalidGate(breaker.service(f"{name}:invalid"))

    async def begin(url: Any) -> Optional[Request]:
        if url.host not in hosts:
            return None  # the gateway's socket, an attachment elsewhere
        gate_permit = await gate.take()
        try:
            permit = await service.take_async()
        except BaseException:
            gate.service.give_back(gate_permit)
            raise
        return _Request(service, permit, gate, gate_permit)

    return trace_of(begin)
