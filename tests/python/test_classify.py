# SPDX-License-Identifier: Apache-2.0
"""What exceptions and answers count as; and what hostile ones do: nothing."""
import asyncio
import errno
import json
import random
import socket
import urllib.error

import aiohttp
import httpx
import pytest
import requests

from breaker import CircuitOpen, _native as n
from breaker._classify import Judge, answer_in
from conftest import library

JUDGE = Judge(n.load(library()))
NAMES = ("success", "failure", "timeout", "rate_limited", "rejected", "critical", "cancelled")


def said(error):
    return NAMES[JUDGE.exception(error).outcome]


def http_error(status, headers=None, body=b"{}"):
    response = httpx.Response(status, headers=headers or {}, content=body,
                              request=httpx.Request("GET", "http://x/"))
    return httpx.HTTPStatusError("x", request=response.request, response=response)


def requests_error(status):
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError("x", response=response)


class ApiStatusError(Exception):
    """As OpenAI's and Anthropic's SDKs have it."""

    def __init__(self, status, headers, body):
        self.status_code = status
        self.response = httpx.Response(status, headers=headers,
                                       request=httpx.Request("GET", "http://x/"))
        self.body = body


class APITimeoutError(Exception):
    pass


def behind(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("error, outcome", [
    (asyncio.CancelledError(), "cancelled"),
    (KeyboardInterrupt(), "cancelled"),
    (GeneratorExit(), "cancelled"),
    (CircuitOpen("other"), "cancelled"),
    (TypeError("our bug"), "cancelled"),
    (TimeoutError(), "timeout"),
    (asyncio.TimeoutError(), "timeout"),
    (socket.timeout(), "timeout"),
    (APITimeoutError(), "timeout"),
    (httpx.ReadTimeout("x"), "timeout"),
    (requests.ReadTimeout(), "timeout"),
    (requests.ConnectTimeout(), "timeout"),
    (aiohttp.ServerTimeoutError(), "timeout"),
    (ConnectionResetError(errno.ECONNRESET, "x"), "failure"),
    (OSError(errno.ETIMEDOUT, "x"), "timeout"),
    (OSError(errno.EMFILE, "x"), "cancelled"),
    (socket.gaierror(-2, "x"), "cancelled"),
    (httpx.ConnectError("x"), "failure"),
    (behind(httpx.ConnectError("x"), socket.gaierror(-2, "x")), "cancelled"),
    (behind(httpx.ConnectError("x"), OSError(errno.EMFILE, "x")), "cancelled"),
    (requests.ConnectionError("x"), "failure"),
    (aiohttp.ServerDisconnectedError(), "failure"),
    (RuntimeError("anything"), "failure"),
    (json.JSONDecodeError("x", "", 0), "failure"),
    (http_error(503), "failure"),
    (http_error(404), "rejected"),
    (http_error(401), "critical"),
    (http_error(429, {"retry-after": "3"}), "rate_limited"),
    (http_error(429, {}, b'{"error": {"code": "insufficient_quota"}}'), "critical"),
    (requests_error(529), "failure"),
    (urllib.error.HTTPError("http://x/", 504, "x", {}, None), "timeout"),
    (ApiStatusError(429, {}, {"error": {"type": "insufficient_quota"}}), "critical"),
    (ApiStatusError(400, {}, {"error": {"code": "context_length_exceeded"}}), "rejected"),
], ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value)
def test_exceptions(error, outcome):
    assert said(error) == outcome


def test_times_to_wait():
    for headers, ms in [({"retry-after": "2"}, 2000), ({"Retry-After-Ms": "1500"}, 1500),
                        ([("Retry-After", b"7")], 7000), ({"retry-after": "soon"}, 0),
                        ({b"retry-after": b"1"}, 1000), (None, 0)]:
        assert JUDGE.http(429, headers).retry_after_ms == ms
    assert JUDGE.http(429, {}, {"retry_after": 0.25}).retry_after_ms == 250


def test_a_bucket_of_discords_holds_nobody():
    result = JUDGE.http(429, {"X-RateLimit-Bucket": "abcd", "Retry-After": "1"})
    assert result.flags & n.RESULT_DELAY_ONLY


def test_answers_in_what_is_returned():
    assert answer_in(httpx.Response(503, content=b"x"))[0] == 503
    assert answer_in(requests_error(418).response)[0] == 418
    for value in (None, "text", 5, {"status": 500}, object()):
        assert answer_in(value) is None


def test_a_guarded_functions_answer_is_judged(fleet, br):
    @br.service("llm").guard
    def get(status):
        return httpx.Response(status)

    assert get(200).status_code == 200
    assert get(503).status_code == 503
    fleet.wait_for("llm", success=1, failure=1)


def test_hostile_headers_and_bodies_do_no_harm():
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)

    def junk(size):
        return bytes(rng.randrange(256) for _ in range(rng.randrange(size)))

    for _ in range(2000):
        headers = [(junk(20), junk(60)) for _ in range(rng.randrange(6))]
        headers.append((rng.choice(["retry-after", "Date", "retry-after-ms", junk(9)]), junk(40)))
        result = JUDGE.http(rng.choice([200, 429, 503, -5, 10**12, 0]), headers, junk(200))
        assert result.outcome < len(NAMES)
        assert result.retry_after_ms <= 86400000
    deep = "[" * 100000
    for headers, body in [({"x": "y" * 10**6}, b"z" * 10**6), ({"a\r\nretry-after": "5"}, deep),
                          ({"retry-after": "9" * 500}, {"error": {"code": "x" * 10**6}}),
                          ({"retry-after": object()}, object()), ({}, "\ud800"),
                          ({"retry-after": "1\r\nretry-after: 9999"}, None)]:
        assert JUDGE.http(429, headers, body).outcome in range(7)
    # No line's end in a value makes another header.
    assert JUDGE.http(429, {"x": "1\nretry-after: 9"}).retry_after_ms == 0


def test_strange_exceptions_do_no_harm():
    class Loop(OSError):
        pass

    error = Loop("x")
    error.__cause__ = Loop("y")
    error.__cause__.__cause__ = error
    assert said(error) == "failure"

    class Odd(Exception):
        response = 5
        status = "200"
        code = True

    assert said(Odd()) == "failure"


def test_texts_are_short_and_one_line(fleet, br):
    Monster = type("M" * 500 + "\n", (Exception,), {})
    with pytest.raises(Monster):
        with br.service("llm").call():
            raise Monster
    fleet.wait_for("llm", failure=1)
    text = fleet.status("llm")["evidence"][0]["text"]
    assert text.startswith("MMM") and len(text) <= 64 and "\n" not in text
