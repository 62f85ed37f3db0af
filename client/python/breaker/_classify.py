# SPDX-License-Identifier: Apache-2.0
"""What came of a call: exceptions, and HTTP answers of whichever library. Statuses,
headers and bodies are judged by libbreaker (docs/classification.md); here they are
only found."""
from __future__ import annotations

import asyncio
import ctypes
import json
import socket
from typing import Any, Callable, Iterable, Mapping, Optional, Tuple, Union

from . import _native as n
from .errors import BreakerError

Headers = Union[Mapping[Any, Any], Iterable[Tuple[Any, Any]]]
#: What a user's classifier may say; None leaves it to the table.
Classifier = Callable[[BaseException], Optional[str]]

# Octets of a body and of headers that libbreaker looks at.
_LOOKED_AT = 65536
_CLASS_OTHER = 12
_CLASS_LOCAL = 10
_CLASS_NETWORK = 1
_CLASS_TIMEOUT = 2
_CLASS_CANCELLED = 11

# Nobody's verdict: the caller gave up, or another service's circuit is open.
_GAVE_UP = (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit,
            BreakerError)
# Faults of the program that calls are no verdict on whom it calls.
_OURS = (NameError, TypeError, AttributeError, ImportError, AssertionError,
         NotImplementedError, MemoryError, RecursionError)
# By name, so that no library has to be imported to know its errors.
_TIMEOUTS = frozenset({"TimeoutError", "TimeoutException", "Timeout",
                       "APITimeoutError", "ServerTimeoutError"})
_NETWORK = frozenset({"TransportError", "ConnectionError", "ClientConnectionError",
                      "APIConnectionError", "ProtocolError", "ClientPayloadError"})
_CAUSES_MAX = 8


def _octets(value: Any) -> bytes:
    """Whatever a header is made of, without a line's end."""
    if not isinstance(value, (bytes, bytearray)):
        value = str(value).encode("utf-8", "replace")
    return bytes(value).replace(b"\r", b" ").replace(b"\n", b" ")


def _lines(headers: Optional[Headers]) -> bytes:
    if not headers:
        return b""
    items = getattr(headers, "multi_items", None) or getattr(headers, "items", None)
    lines = []
    left = _LOOKED_AT
    for key, value in (items() if items is not None else headers):
        line = _octets(key) + b": " + _octets(value) + b"\r\n"
        left -= len(line)
        if left < 0:
            break
        lines.append(line)
    return b"".join(lines)


def _body(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        body = body[:_LOOKED_AT].encode("utf-8", "replace")
    elif not isinstance(body, (bytes, bytearray)):
        try:
            body = json.dumps(body).encode()
        except (TypeError, ValueError, RecursionError):
            return b""
    return bytes(body[:_LOOKED_AT])


class Judge:
    """Fills in struct breaker_result."""

    def __init__(self, library: Any) -> None:
        self._lib = library

    def http(self, status: int, headers: Optional[Headers] = None,
             body: Any = None) -> n.Result:
        lines, octets = _lines(headers), _body(body)
        answer = n.sized(n.Http)
        answer.headers, answer.headers_len = lines, len(lines)
        answer.body, answer.body_len = octets, len(octets)
        answer.status = max(-1, min(int(status), 99999))
        result: n.Result = n.sized(n.Result)
        self._lib.classify_http(ctypes.byref(answer), ctypes.byref(result))
        return result

    def outcome(self, outcome: int, error_class: int = _CLASS_OTHER,
                text: str = "") -> n.Result:
        result: n.Result = n.sized(n.Result)
        self._lib.result_set(ctypes.byref(result), outcome, error_class,
                             text.encode("utf-8", "replace") or None)
        return result

    def word(self, word: str, text: str = "") -> n.Result:
        outcome = self._lib.outcome_parse(word.encode())
        if outcome < 0:
            raise ValueError(f"no such outcome: {word!r}; one of success, failure, timeout, "
                             "rate_limited, rejected, critical, cancelled")
        return self.outcome(outcome, 0 if outcome == n.SUCCESS else _CLASS_OTHER, text)

    def exception(self, error: BaseException,
                  classifier: Optional[Classifier] = None) -> n.Result:
        name = type(error).__name__
        said = classifier(error) if classifier is not None else None
        if said is not None:
            return self.word(said, name)
        if isinstance(error, _GAVE_UP):
            return self.outcome(n.CANCELLED, _CLASS_CANCELLED, name)
        answer = _answer_of(error)
        if answer is not None:
            return self.http(*answer)
        names = {kind.__name__ for kind in type(error).__mro__}
        # socket.timeout and asyncio's are TimeoutError since 3.10 and 3.11.
        if names & _TIMEOUTS or isinstance(error, (socket.timeout, asyncio.TimeoutError)):
            return self.outcome(n.TIMEOUT, _CLASS_TIMEOUT, name)
        if isinstance(error, OSError) or names & _NETWORK:
            return self._network(error, name)
        if isinstance(error, _OURS):
            return self.outcome(n.CANCELLED, _CLASS_LOCAL, name)
        return self.outcome(n.FAILURE, _CLASS_OTHER, name)

    def _network(self, error: BaseException, name: str) -> n.Result:
        """By the system's error behind it, if there is one."""
        cause: Optional[BaseException] = error
        for _ in range(_CAUSES_MAX):
            if cause is None:
                break
            # A name that does not resolve is a trouble of our own.
            if isinstance(cause, socket.gaierror) or type(cause).__name__ == "NameResolutionError":
                result = self.outcome(n.CANCELLED, _CLASS_LOCAL, "gaierror")
                result.flags = n.RESULT_LOCAL
                return result
            number = getattr(cause, "errno", None) if isinstance(cause, OSError) else None
            if isinstance(number, int) and 0 < number < 4096:
                result = n.sized(n.Result)
                self._lib.classify_errno(number, ctypes.byref(result))
                return result
            cause = _behind(cause)
        return self.outcome(n.FAILURE, _CLASS_NETWORK, name)


def _behind(error: BaseException) -> Optional[BaseException]:
    """requests and urllib3 carry it as an argument or a reason."""
    for found in (getattr(error, "os_error", None), getattr(error, "reason", None),
                  error.args[0] if error.args else None, error.__cause__,
                  error.__context__):
        if isinstance(found, BaseException) and found is not error:
            return found
    return None


def _status_of(thing: Any) -> Optional[int]:
    for name in ("status_code", "status", "code"):
        status = getattr(thing, name, None)
        if isinstance(status, int) and not isinstance(status, bool) and 100 <= status <= 999:
            return int(status)
    return None


def _answer_of(error: BaseException) -> Optional[Tuple[int, Optional[Headers], Any]]:
    """The HTTP answer that an exception carries: of httpx, requests, aiohttp,
    urllib, openai, anthropic, discord and those like them."""
    response = getattr(error, "response", None)
    status = _status_of(response) if response is not None else None
    if status is None:
        status = _status_of(error)
    headers = getattr(response, "headers", None) or getattr(error, "headers", None)
    if status is None or (response is None and headers is None):
        return None
    body = getattr(error, "body", None)
    if body is None:
        # Where httpx and requests keep what was read; nothing is read for this.
        body = getattr(response, "_content", None)
    return status, headers, body if body else None


def answer_in(value: Any) -> Optional[Tuple[int, Headers, Any]]:
    """The same of a returned value; None: it is no answer."""
    headers = getattr(value, "headers", None)
    if headers is None:
        return None
    status = _status_of(value)
    if status is None:
        return None
    return status, headers, getattr(value, "_content", None) or None
