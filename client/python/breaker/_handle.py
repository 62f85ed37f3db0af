# SPDX-License-Identifier: Apache-2.0
"""One handle of libbreaker: opening it, asking in threads, closing it, and what a
forked child makes anew."""
from __future__ import annotations

import asyncio
import atexit
import ctypes
import logging
import os
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable, Dict, List, Optional, Set

from . import _native as n

log = logging.getLogger("breaker")

_MODES = {None: 0, "auto": 1, "zmq": 2, "local": 3}
_FAILS = {None: 0, "local": 1, "open": 2, "closed": 3}
# Threads that ask. What they ask costs the daemon microseconds, and nothing while it
# is known to be silent.
_THREADS = 4
# While nobody answers, what is queued is tried to be sent so often, and then with
# the next report.
_SEND_TRIES = 5
_SEND_AGAIN_S = 0.1
# close() waits for questions under way: their deadline and this.
_GRACE_S = 1.0


def _take_log(_context: Any, level: int, sentence: bytes) -> None:
    text = sentence.decode("utf-8", "replace")
    log.log(logging.WARNING if level else logging.INFO, "%s", text)


# Kept for ever: threads of the library may use it as long as the process lives.
_LOG = n.LogFunction(_take_log)


class Handle:
    """`pointer` is what the library's functions take: 0 when there is no library,
    or after close(), and then every call is let through."""

    def __init__(self, directory: Optional[str], worker: Optional[str],
                 mode: Optional[str], fail: Optional[str],
                 deadline_ms: int, path: Optional[str]) -> None:
        self.pointer: int = 0
        self.lib: Any = None
        self._pool: Optional[ThreadPoolExecutor] = None
        self._lock = threading.Lock()
        self._asking = 0  # functions that may wait, under way or about to be
        self._is_sending = False
        self._has_queued = False
        self._send_again = 0.0
        self._when_closed: List[Callable[[], None]] = []
        options = n.sized(n.Options)
        options.dir = os.fsencode(directory) if directory is not None else None
        options.worker = (worker or os.path.basename(sys.argv[0]) or "python").encode()
        options.mode = _choice("mode", _MODES, mode)
        options.fail = _choice("fail", _FAILS, fail)
        options.deadline_ms = deadline_ms
        options.flags = n.TELL_LATER
        options.log = _LOG
        self.deadline_s = (deadline_ms or 50) / 1000
        try:
            self.lib = n.load(path)
        except OSError as e:
            log.warning("no libbreaker, every call is let through: %s (install it, or "
                        "name it in $BREAKER_LIBRARY)", e)
            return
        self.pointer = self.lib.open(ctypes.byref(options)) or 0
        if not self.pointer:
            raise ValueError(self.lib.error_text().decode())
        _handles.add(self)

    def ask(self, function: Callable[..., Any], *args: Any) -> Any:
        """Calls what may wait, in this thread. close() does not free what it uses."""
        with self._lock:
            self._asking += 1
        try:
            return function(*args)
        finally:
            self._leave()

    def _leave(self, _: object = None) -> None:
        with self._lock:
            self._asking -= 1

    def submit(self, function: Callable[..., Any], *args: Any) -> "Future[Any]":
        """The same in a thread; in this one when the interpreter ends, which has none."""
        try:
            return self._start(function, *args)
        except RuntimeError:
            done: "Future[Any]" = Future()
            done.set_result(self.ask(function, *args))
            return done

    def _start(self, function: Callable[..., Any], *args: Any) -> "Future[Any]":
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_THREADS, "breaker")
            future = self._pool.submit(function, *args)
            # Counted before a thread takes it up: close() must not free what it uses.
            self._asking += 1
        future.add_done_callback(self._leave)
        return future

    def send_queued(self) -> None:
        """A report said it lies here: a thread sends it."""
        self._has_queued = True
        if self._is_sending or time.monotonic() < self._send_again or not self.pointer:
            return
        self._is_sending = True
        try:
            self._start(self._send)
        except RuntimeError:  # the interpreter ends: close() sends it
            self._is_sending = False

    def _send(self) -> None:
        for _ in range(_SEND_TRIES):
            self._has_queued = False
            if not self.pointer or self.lib.ping(self.pointer, None) == 0:
                break
            self._has_queued = True
            time.sleep(_SEND_AGAIN_S)
        else:
            self._send_again = time.monotonic() + _SEND_AGAIN_S
        self._is_sending = False
        # What was queued meanwhile. Not in a loop: an interpreter that ends waits for
        # this thread, whatever others go on telling.
        if self._has_queued:
            self.send_queued()

    def on_close(self, function: Callable[[], None]) -> None:
        """Called when `pointer` is 0 and what it led to is about to be freed."""
        self._when_closed.append(function)

    def close(self) -> None:
        pointer, self.pointer = self.pointer, 0
        if not pointer:
            return
        _handles.discard(self)
        for function in self._when_closed:
            function()
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False)
        end = time.monotonic() + self.deadline_s + _GRACE_S
        while self._asking and time.monotonic() < end:
            time.sleep(0.001)
        # Whoever still asks keeps it: memory that is lost is no harm.
        if not self._asking:
            self.lib.close(ctypes.byref(ctypes.c_void_p(pointer)))

    def child(self) -> None:
        """A fork has no threads of its parent, and may have had its locks taken."""
        self._lock = threading.Lock()
        self._pool = None
        self._asking = 0
        self._is_sending = False
        self._send_again = 0.0


_has_warned_on_loop = False


def warn_on_loop() -> None:
    """Said before this thread waits."""
    global _has_warned_on_loop
    if _has_warned_on_loop or asyncio._get_running_loop() is None:
        return
    _has_warned_on_loop = True
    log.warning("the event loop waits for breakerd: use `async with`, `async for` or an "
                "async function there (said once)")


def _choice(name: str, words: Dict[Optional[str], int], word: Optional[str]) -> int:
    if word not in words:
        accepted = ", ".join(str(w) for w in words if w)
        raise ValueError(f"{name}={word!r}: one of {accepted}")
    return words[word]


# Open ones, also those that nobody holds any more: they have something to tell.
_handles: Set[Handle] = set()


def _in_child() -> None:
    for handle in list(_handles):
        handle.child()


def _at_exit() -> None:
    for handle in list(_handles):
        handle.close()


_knows_multiprocessing = False


def _before_fork() -> None:
    """multiprocessing's children end by os._exit, and call what they know of before."""
    global _knows_multiprocessing
    util = sys.modules.get("multiprocessing.util")
    if util is None or _knows_multiprocessing:
        return
    _knows_multiprocessing = True
    util.register_after_fork(Handle, lambda _: util.Finalize(None, _at_exit, exitpriority=0))


os.register_at_fork(before=_before_fork, after_in_child=_in_child)
atexit.register(_at_exit)
