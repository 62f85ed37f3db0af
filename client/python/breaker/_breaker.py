# SPDX-License-Identifier: Apache-2.0
"""The handle as bots have it."""
from __future__ import annotations

import ctypes
from typing import Any, Dict, List, Mapping, Optional

from . import _native as n
from ._classify import Classifier
from ._handle import Handle
from ._hosts import Hosts
from ._service import Service
from .presets import STANDARD, Preset


class Breaker:
    """One a process is enough; threads, tasks and forked children share it.

    dir           the instance's directory; default $BREAKERD_DIR, else where it is
                  usually
    worker        a name for display; default the program's
    mode          "auto", "zmq" or "local"; default $BREAKERD_MODE, else "auto"
    fail          without a daemon: "local" (this process decides), "open" or
                  "closed"; default $BREAKERD_FAIL, else "local"
    deadline_ms   no call waits longer for the daemon; default 50
    hosts         {"host": "service"} or {"host:port": "service"} for the hooks, added
                  to those that are known
    library       path of libbreaker; default $BREAKER_LIBRARY, else libbreaker.so.0
    """

    def __init__(self, dir: Optional[str] = None, worker: Optional[str] = None,
                 mode: Optional[str] = None, fail: Optional[str] = None,
                 deadline_ms: int = 0, hosts: Optional[Mapping[str, str]] = None,
                 library: Optional[str] = None) -> None:
        self._handle = Handle(dir, worker, mode, fail, deadline_ms, library)
        self._services: Dict[str, Service] = {}
        self._hosts = Hosts(hosts)

    def service(self, name: str, preset: Preset = STANDARD,
                classify: Optional[Classifier] = None,
                ttl: Optional[float] = None) -> Service:
        """The service (or route) of this name, the same object each time; the rest is
        that of the first. `ttl`: seconds after which a call that holds a leased
        permit (a probe, or under max_concurrent) and has not ended counts as a
        timeout; default permit_ttl. attempts() take their timeout's."""
        service = self._services.get(name)
        if service is None:
            service = self._services.setdefault(
                name, Service(self._handle, name, preset, classify, ttl))
        return service

    def service_of(self, host: Optional[str], port: Optional[int] = None) -> Service:
        """The service that this host of a URL belongs to; `port`: where the URL has one
        that is not its scheme's."""
        return self.service(self._hosts.service(host, port))

    def stats(self) -> Dict[str, int]:
        """Numbers of this process; {} without a library."""
        if not self._handle.pointer:
            return {}
        stats = n.sized(n.Stats)
        self._handle.lib.stats(self._handle.pointer, ctypes.byref(stats))
        names: List[str] = [field[0] for field in n.Stats._fields_ if field[0] != "size"]
        return {name: int(getattr(stats, name)) for name in names}

    def explain(self) -> str:
        """How decisions are being made now: one sentence."""
        if not self._handle.pointer:
            return "every call is let through: no libbreaker"
        room = ctypes.create_string_buffer(1024)
        self._handle.lib.explain(self._handle.pointer, room, len(room))
        return room.value.decode("utf-8", "replace")

    def close(self) -> None:
        """Tells the daemon what it has not heard yet; afterwards every call is let
        through. Happens by itself when the interpreter ends."""
        self._handle.close()

    def __enter__(self) -> "Breaker":
        return self

    def __exit__(self, *_error: Any) -> None:
        self.close()

    # ---- hooks; each imports its library when it is asked for ----

    def httpx_transport(self, transport: Any = None, *, service: Optional[str] = None,
                        retries: Optional[bool] = None) -> Any:
        """For httpx.Client(transport=...) and the SDKs that take an http_client.
        `transport`: what does the work, default httpx.HTTPTransport(). `retries`: the
        caller retries by itself; default: if its requests say so, as OpenAI's and
        Anthropic's do."""
        from ._httpx import transport as make
        return make(self, transport, service, retries)

    def httpx_async_transport(self, transport: Any = None, *, service: Optional[str] = None,
                              retries: Optional[bool] = None) -> Any:
        from ._httpx import async_transport as make
        return make(self, transport, service, retries)

    def requests_adapter(self, *, service: Optional[str] = None, **options: Any) -> Any:
        """For requests.Session.mount(); options are those of HTTPAdapter."""
        from ._requests import adapter as make
        return make(self, service, options)

    def aiohttp_trace(self, *, service: Optional[str] = None) -> Any:
        """For aiohttp.ClientSession(trace_configs=[...])."""
        from ._aiohttp import trace as make
        return make(self, service)

    def discord_trace(self, *, service: str = "discord",
                      hosts: Any = ("discord.com", "discordapp.com")) -> Any:
        """For discord.Client(http_trace=...)."""
        from ._discord import trace as make
        return make(self, service, hosts)

    @property
    def tenacity(self) -> Any:
        """.stop(name), .wait(name) and .retry(name) for tenacity.retry()."""
        from ._tenacity import Tenacity
        return Tenacity(self)
