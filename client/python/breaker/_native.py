# SPDX-License-Identifier: Apache-2.0
"""libbreaker by ctypes: its structs, and its functions in two kinds. Those that never
wait keep the interpreter's lock (letting it go costs more than they do); those that
may wait for the daemon let it go."""
from __future__ import annotations

import ctypes as c
import os
from typing import Any, Optional

DENIED, ALLOWED, MUST_ASK = 0, 1, 2
SUCCESS, FAILURE, TIMEOUT, RATE_LIMITED, REJECTED, CRITICAL, CANCELLED = range(7)
QUEUED = 4
ERROR_UNAVAILABLE = -4
TELL_LATER = 1
RESULT_LOCAL, RESULT_DELAY_ONLY = 1, 2
STEP_ATTEMPT, STEP_WAIT, STEP_DONE = 1, 2, 3
STOP_SUCCESS, STOP_BUDGET, STOP_OPEN, STOP_UNAVAILABLE = 0, 3, 4, 8
TEXT_SIZE = 64
CHAIN_MAX = 16

_U8, _U32, _U64, _I32, _I64 = c.c_uint8, c.c_uint32, c.c_uint64, c.c_int32, c.c_int64
_PTR, _STR = c.c_void_p, c.c_char_p

LogFunction = c.CFUNCTYPE(None, _PTR, c.c_int, _STR)


class Options(c.Structure):
    _fields_ = [("size", c.c_size_t), ("dir", _STR), ("worker", _STR),
                ("mode", _U32), ("fail", _U32), ("deadline_ms", _U32),
                ("flags", _U32), ("log", LogFunction), ("log_context", _PTR)]


class Permit(c.Structure):
    """`at` is its address: an int is what ctypes passes on fastest."""

    __slots__ = ("at",)
    _fields_ = [("service", _PTR), ("id", _U64), ("generation", _U64),
                ("retry_after_ms", _U64), ("home", _U64), ("attempt", _U32),
                ("verdict", _U8), ("reason", _U8), ("state", _U8),
                ("source", _U8), ("is_settled", _U8), ("reserved8", _U8 * 7),
                ("reserved", _U64 * 2)]


class Token(c.Structure):
    _fields_ = [("service", _PTR), ("id", _U64), ("delay_ms", _U64),
                ("retry_after_ms", _U64), ("home", _U64), ("attempt", _U32),
                ("verdict", _U8), ("reason", _U8), ("source", _U8),
                ("is_settled", _U8), ("reserved", _U64 * 2)]


class Ask(c.Structure):
    _fields_ = [("size", c.c_size_t), ("token", c.POINTER(Token)),
                ("ttl_ms", _U64)]


class Details(c.Structure):
    _fields_ = [("size", c.c_size_t), ("latency_us", _I64),
                ("retry_after_ms", _U64), ("text", _STR), ("will_retry", _U32),
                ("flags", _U32)]


class Result(c.Structure):
    _fields_ = [("size", c.c_size_t), ("outcome", _U32), ("flags", _U32),
                ("retry_after_ms", _U64), ("code", _I32), ("error_class", _U32),
                ("text", c.c_char * TEXT_SIZE)]


class Http(c.Structure):
    _fields_ = [("size", c.c_size_t), ("headers", _STR), ("headers_len", c.c_size_t),
                ("body", _STR), ("body_len", c.c_size_t), ("now_s", _I64),
                ("status", _I32), ("reserved", _U32)]


class CallOptions(c.Structure):
    _fields_ = [("size", c.c_size_t), ("preset", _U32), ("on_deny", _U32),
                ("deadline_ms", _U64), ("max_elapsed_ms", _U64),
                ("attempt_timeout_ms", _U64), ("base_delay_ms", _U64),
                ("max_delay_ms", _U64), ("multiplier_pct", _U32),
                ("jitter", _U32), ("max_attempts", _U32), ("retry_on", _U32),
                ("cancel", _PTR), ("services", _PTR),
                ("service_count", c.c_size_t), ("rebuild", _PTR),
                ("answer", _PTR), ("context", _PTR), ("log", _PTR),
                ("log_context", _PTR)]


class Attempt(c.Structure):
    _fields_ = [("service", _PTR), ("call", _PTR), ("number", _U32),
                ("total", _U32), ("preset", _U32), ("reserved", _U32),
                ("timeout_ms", _U64), ("deadline_ms", _U64)]


class Step(c.Structure):
    _fields_ = [("size", c.c_size_t), ("kind", _U32), ("reserved", _U32),
                ("wait_ms", _U64), ("attempt", Attempt)]


class Failure(c.Structure):
    _fields_ = [("service", _PTR), ("result", Result), ("retry_after_ms", _U64),
                ("attempts", _U32), ("stop", _U32), ("reason", _U32),
                ("reserved", _U32)]


class Summary(c.Structure):
    _fields_ = [("size", c.c_size_t), ("service", _PTR), ("result", Result),
                ("elapsed_us", _U64), ("waited_us", _U64),
                ("retry_after_ms", _U64), ("age_ms", _U64), ("attempts", _U32),
                ("waits", _U32), ("stop", _U32), ("reason", _U32),
                ("is_default", _U32), ("is_stale", _U32),
                ("failure_count", _U32), ("reserved", _U32),
                ("failures", Failure * CHAIN_MAX)]


class Stats(c.Structure):
    _fields_ = [("size", c.c_size_t), ("by_memory", _U64), ("by_daemon", _U64),
                ("by_local", _U64), ("by_nobody", _U64), ("outages", _U64),
                ("unanswered", _U64), ("late", _U64), ("reports_dropped", _U64),
                ("bugs", _U64)]


def sized(kind: Any) -> Any:
    """A struct of this kind with its size set, the rest zero."""
    value = kind()
    value.size = c.sizeof(kind)
    return value


def new_permit() -> Permit:
    permit = Permit()
    permit.at = c.addressof(permit)
    return permit


# Name, what it returns, what it takes.
_AT_ONCE = (
    ("breaker_open", _PTR, (_PTR,)),
    ("breaker_service", _PTR, (_PTR, _STR)),
    ("breaker_service_name", _STR, (_PTR,)),
    ("breaker_acquire_now", c.c_int, (_PTR, _PTR)),
    ("breaker_report", c.c_int, (_PTR, c.c_int, _I64)),
    ("breaker_report_with", c.c_int, (_PTR, c.c_int, _PTR)),
    ("breaker_report_service", c.c_int, (_PTR, c.c_int, _PTR)),
    ("breaker_release", c.c_int, (_PTR,)),
    ("breaker_token_release", c.c_int, (_PTR,)),
    ("breaker_stats", c.c_int, (_PTR, _PTR)),
    ("breaker_explain", c.c_int, (_PTR, _PTR, c.c_size_t)),
    ("breaker_error_text", _STR, ()),
    ("breaker_outcome_name", _STR, (c.c_int,)),
    ("breaker_outcome_parse", c.c_int, (_STR,)),
    ("breaker_reason_name", _STR, (c.c_int,)),
    ("breaker_classify_http", None, (_PTR, _PTR)),
    ("breaker_classify_errno", None, (c.c_int, _PTR)),
    ("breaker_result_set", None, (_PTR, c.c_int, c.c_int, _STR)),
    ("breaker_call_begin", _PTR, (_PTR, _PTR)),
    ("breaker_call_end", c.c_int, (_PTR, _PTR)),
)
_MAY_WAIT = (
    ("breaker_close", None, (_PTR,)),
    ("breaker_acquire_with", c.c_int, (_PTR, _PTR, _PTR)),
    ("breaker_retry", c.c_int, (_PTR, _U32, c.c_int, _U64, _PTR)),
    ("breaker_config", c.c_int, (_PTR, _PTR, _PTR, c.c_size_t)),
    ("breaker_ping", c.c_int, (_PTR, _PTR)),
    ("breaker_call_next", c.c_int, (_PTR, _PTR)),
    ("breaker_call_result", c.c_int, (_PTR, _PTR)),
)


class Library:
    """The functions, without their prefix."""

    def __init__(self, path: str) -> None:
        self.path = path
        for loaded, rows in ((c.PyDLL(path), _AT_ONCE), (c.CDLL(path), _MAY_WAIT)):
            for name, returns, takes in rows:
                function = getattr(loaded, name)
                function.restype = returns
                function.argtypes = takes
                setattr(self, name[len("breaker_"):], function)
        # Of a success it waits for nothing.
        self.call_success = c.PyDLL(path).breaker_call_result
        self.call_success.restype, self.call_success.argtypes = c.c_int, (_PTR, _PTR)

    def __getattr__(self, name: str) -> Any:  # for type checkers
        raise AttributeError(name)


_loaded: dict[str, Library] = {}


def load(path: Optional[str] = None) -> Library:
    """$BREAKER_LIBRARY, else what the loader finds. OSError when there is none."""
    path = path or os.environ.get("BREAKER_LIBRARY") or "libbreaker.so.0"
    if path not in _loaded:
        try:
            _loaded[path] = Library(path)
        except AttributeError as e:
            raise OSError(f"{path} is another version of libbreaker: {e}") from e
    return _loaded[path]
