# SPDX-License-Identifier: Apache-2.0
"""Each hook in the library it is for, against a real HTTP server."""
import asyncio
import json
import time
import urllib.parse

import aiohttp
import httpx
import pytest
import requests
import tenacity

from breaker import CircuitOpen, RetryBudgetExhausted, _service
from harness import until

QUOTA = json.dumps({"error": {"code": "insufficient_quota"}}).encode()


# ---- httpx, and what is built on it ----

class Sdk:
    """Retries as OpenAI's and Anthropic's SDKs do: it numbers its attempts, and
    x-should-retry has the last word."""

    def __init__(self, transport, retries=2):
        self.client = httpx.Client(transport=transport)
        self.retries = retries
        self.slept = []

    def get(self, url):
        for number in range(self.retries + 1):
            try:
                response = self.client.get(
                    url, headers={"x-stainless-retry-count": str(number)})
            except httpx.TransportError:
                if number == self.retries:
                    raise
                continue
            should = response.headers.get("x-should-retry")
            retries = response.status_code >= 500 or response.status_code in (408, 409, 429)
            if response.is_success or should == "false" or \
                    not (retries or should == "true") or number == self.retries:
                return response
            wait = float(response.headers.get("retry-after-ms", "0")) / 1000
            self.slept.append(wait)
            time.sleep(min(wait, 0.05))
        raise AssertionError("not reached")


class AsyncClient:
    """The asynchronous twin, with the face of the other."""

    def __init__(self, br, **options):
        self.br, self.options = br, options

    def get(self, url, **kwargs):
        async def get():
            transport = self.br.httpx_async_transport(**self.options)
            async with httpx.AsyncClient(transport=transport) as client:
                return await client.get(url, **kwargs)

        return asyncio.run(get())


class PlainClient:
    def __init__(self, br, **options):
        self.client = httpx.Client(transport=br.httpx_transport(**options))
        self.get = self.client.get


BOTH = pytest.mark.parametrize("client", [PlainClient, AsyncClient])


@BOTH
def test_httpx_answers_are_told(fleet, br, upstream, client):
    upstream.answers = [(200, {}, b"fine"), (404, {}, b"no"), (503, {}, b"down"),
                        (429, {"retry-after-ms": "20"}, b"slow"), (429, {}, QUOTA),
                        (200, {}, b"fine")]
    http = client(br, service="up")
    for status in (200, 404, 503, 429):
        assert http.get(upstream.url).status_code == status
    time.sleep(0.1)
    assert http.get(upstream.url).json()["error"]["code"] == "insufficient_quota"
    assert http.get(upstream.url).text == "fine"
    fleet.wait_for("up", success=2, rejected=1, failure=1, rate_limited=1, critical=1)


@BOTH
def test_httpx_an_open_circuit_answers_for_the_upstream(fleet, br, upstream, client):
    fleet.order("TRIP", "up", "90000", "maintenance")
    response = client(br, service="up").get(upstream.url)
    assert upstream.hits == 0
    assert response.status_code == 503
    assert response.headers["x-should-retry"] == "false"
    assert 80 < int(response.headers["retry-after"]) <= 90
    error = response.json()["error"]
    assert error["type"] == error["code"] == "circuit_open"
    assert error["reason"] == "forced_open" and response.json()["type"] == "error"
    assert 80000 < int(response.headers["retry-after-ms"]) <= 90000
    assert error["service"] == "up" and isinstance(response.extensions["breaker_error"],
                                                   CircuitOpen)


@BOTH
def test_httpx_connection_errors_are_failures(fleet, br, upstream, client):
    upstream.answers = [(0, {}, b"")]
    http = client(br, service="up")
    with pytest.raises(httpx.RemoteProtocolError):
        http.get(upstream.url)
    upstream.close()
    with pytest.raises(httpx.ConnectError):
        http.get(upstream.url)
    fleet.wait_for("up", failure=2)


@BOTH
def test_httpx_a_host_is_a_service(fleet, upstream, client):
    port = urllib.parse.urlsplit(upstream.url).port
    br = fleet.breaker(hosts={"localhost": "mine"})
    http = client(br)
    http.get(upstream.url)
    http.get(upstream.url.replace("127.0.0.1", "localhost"))
    fleet.wait_for(f"127.0.0.1:{port}", success=1)
    fleet.wait_for("mine", success=1)
    named = fleet.breaker(hosts={"llm.internal:8080": "llm"})
    assert named.service_of("llm.internal", 8080).name == "llm"
    assert named.service_of("llm.internal").name == "llm.internal"
    assert named.service_of("::1", 81).name == "::1:81"
    assert br.service_of("API.OpenAI.com").name == "openai"
    assert br.service_of("a b\n" + "x" * 99).name == "a_b_" + "x" * 59


def test_httpx_a_stream_is_told_at_its_head_and_when_it_breaks(fleet, br, upstream):
    upstream.answers = [(200, {}, [b"a" * 100, None])]
    client = httpx.Client(transport=br.httpx_transport(service="up"))
    with client.stream("GET", upstream.url) as response:
        fleet.wait_for("up", success=1)
        with pytest.raises(httpx.RemoteProtocolError):
            for _ in response.iter_bytes():
                pass
    fleet.wait_for("up", success=1, failure=1)


def test_an_sdks_retries_come_from_the_fleets_budget(fleet, br, upstream):
    upstream.answers = [(503, {}, b"{}"), (503, {}, b"{}"), (200, {}, b"{}")]
    sdk = Sdk(br.httpx_transport(service="up"))
    assert sdk.get(upstream.url).status_code == 200
    fleet.wait_for("up", success=1, failure=2)
    assert fleet.status("up")["retry_budget"]["granted"] == 2
    assert upstream.hits == 3 and len(sdk.slept) == 2


def test_an_sdks_retries_stop_where_the_budget_does(fleet, br, upstream):
    upstream.answers = [(503, {}, b"{}")]
    sdk = Sdk(br.httpx_transport(service="poor"))
    response = sdk.get(upstream.url)
    assert response.status_code == 503 and response.headers["x-should-retry"] == "false"
    assert upstream.hits == 1
    upstream.answers = [(0, {}, b"")]
    response = sdk.get(upstream.url)
    assert response.json()["error"]["type"] == "retry_denied"
    assert response.json()["error"]["reason"] == "budget"
    assert isinstance(response.extensions["breaker_error"], RetryBudgetExhausted)
    assert upstream.hits == 2


def test_an_async_sdks_retries_too(fleet, br, upstream):
    upstream.answers = [(503, {}, b"{}")]
    headers = {"x-stainless-retry-count": "0"}
    response = AsyncClient(br, service="poor").get(upstream.url, headers=headers)
    assert response.headers["x-should-retry"] == "false"
    response = AsyncClient(br, service="up").get(upstream.url, headers=headers)
    assert response.headers["x-should-retry"] == "true"
    assert int(response.headers["retry-after-ms"]) >= 0


def test_what_an_sdk_does_not_retry_takes_no_token(fleet, br, upstream):
    upstream.answers = [(400, {}, b"{}"), (503, {}, b"{}")]
    sdk = Sdk(br.httpx_transport(service="up"))
    assert sdk.get(upstream.url).status_code == 400
    # A client that says nothing of retries makes none.
    assert httpx.Client(transport=br.httpx_transport(service="up")).get(
        upstream.url).status_code == 503
    assert fleet.status("up")["retry_budget"]["granted"] == 0


# ---- requests ----

def session(br, **options):
    it = requests.Session()
    it.mount("http://", br.requests_adapter(**options))
    return it


def test_requests(fleet, br, upstream):
    upstream.answers = [(200, {}, b"fine"), (429, {}, QUOTA), (200, {}, b"fine")]
    http = session(br, service="up")
    assert http.get(upstream.url).text == "fine"
    assert http.get(upstream.url).status_code == 429
    assert http.get(upstream.url, stream=True).raw.read() == b"fine"
    upstream.answers = [(0, {}, b"")]
    with pytest.raises(requests.ConnectionError):
        http.get(upstream.url)
    fleet.wait_for("up", success=2, critical=1, failure=1)
    fleet.order("TRIP", "up", "-", "maintenance")
    until(lambda: http.get(upstream.url).status_code == 503, "the trip")
    response = http.get(upstream.url)
    assert response.json()["error"]["type"] == "circuit_open"
    assert response.headers["X-Should-Retry"] == "false"
    with pytest.raises(requests.HTTPError):
        response.raise_for_status()


def test_requests_timeouts_and_names(fleet, br, upstream):
    http = session(br)
    upstream.answers = [(200, {"Content-Type": "text/plain"}, b"fine")]
    assert http.get(upstream.url).status_code == 200
    fleet.wait_for(upstream.url.replace("http://", ""), success=1)
    with pytest.raises(requests.RequestException):
        http.get("http://nowhere.invalid/")
    fleet.wait_for("nowhere.invalid", cancelled=1, failure=0)


# ---- aiohttp ----

def test_aiohttp(fleet, br, upstream):
    upstream.answers = [(200, {}, b"fine"), (503, {}, b""),
                        (429, {"Retry-After": "90"}, b"")]

    async def main():
        async with aiohttp.ClientSession(
                trace_configs=[br.aiohttp_trace(service="up")]) as http:
            async with http.get(upstream.url) as response:
                assert await response.text() == "fine"
            for status in (503, 429):
                async with http.get(upstream.url) as response:
                    assert response.status == status
            until(lambda: fleet.status("up")["hold_ms"] > 0, "the hold")
            with pytest.raises(CircuitOpen) as info:
                await http.get(upstream.url)
            assert info.value.reason == "rate_limited"

    asyncio.run(main())
    assert upstream.hits == 3
    fleet.wait_for("up", success=1, failure=1, rate_limited=1)


def test_aiohttp_errors_and_cancelled_requests(fleet, br, upstream):
    upstream.answers = [(0, {}, b"")]

    async def main():
        async with aiohttp.ClientSession(trace_configs=[br.aiohttp_trace()]) as http:
            with pytest.raises(aiohttp.ClientError):
                await http.post(upstream.url)
            task = asyncio.ensure_future(http.post(upstream.url))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises((asyncio.CancelledError, aiohttp.ClientError)):
                await task

    asyncio.run(main())
    fleet.wait_for(upstream.url.replace("http://", ""), failure=1)


# ---- tenacity ----

def rules(br, name):
    t = br.tenacity
    return {"retry": t.retry(name), "stop": t.stop(name), "wait": t.wait(name), "reraise": True}


def test_tenacity(fleet, br):
    calls = []
    fleet.order("SET", "up", "base_delay", "20ms")

    @tenacity.retry(**rules(br, "up"))
    @br.service("up").guard
    def ask():
        calls.append(1)
        if len(calls) < 3:
            raise TimeoutError
        return "yes"

    assert ask() == "yes" and len(calls) == 3
    fleet.wait_for("up", success=1, timeout=2)
    assert fleet.status("up")["retry_budget"]["granted"] == 2
    assert br.service("up").tokens == {}


def test_tenacity_may_ask_for_the_wait_first(fleet, br):
    """As its newer versions do."""
    fleet.order("SET", "up", "base_delay", "20ms")
    fleet.order("SET", "up", "jitter", "none")
    state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
    state.set_exception((TimeoutError, TimeoutError(), None))
    wait, stop = br.tenacity.wait("up"), br.tenacity.stop("up")
    assert wait(state) == 0.02 and not stop(state) and wait(state) == 0.02
    assert fleet.status("up")["retry_budget"]["granted"] == 1
    br.service("up").drop_token()


def test_tokens_of_retries_that_were_never_made_are_bounded(fleet, br, monkeypatch):
    monkeypatch.setattr(_service, "_TOKENS_MAX", 2)
    service = br.service("up")
    failed = service.judge.word("failure")

    async def abandoned():
        service.keep_token(service.ask_retry(1, failed))
        await asyncio.sleep(3600)

    async def main():
        tasks = [asyncio.ensure_future(abandoned()) for _ in range(4)]
        await asyncio.sleep(0)
        kept = list(service.tokens.values())
        assert len(kept) == 2 and all(token.verdict == 1 for token in kept)
        for task in tasks:
            task.cancel()

    asyncio.run(main())


def test_tenacity_stops_with_the_budget(br):
    calls = []

    @tenacity.retry(**rules(br, "poor"))
    @br.service("poor").guard
    def ask(error):
        calls.append(1)
        raise error

    with pytest.raises(TimeoutError):
        ask(TimeoutError())
    assert len(calls) == 1
    with pytest.raises(TypeError):  # not retried, whoever pays
        ask(TypeError())
    assert len(calls) == 2


def test_tenacity_in_a_loop(fleet, br):
    fleet.order("SET", "up", "base_delay", "20ms")
    calls = []

    def governed(name):
        return tenacity.retry(**rules(br, name), sleep=br.tenacity.sleep(name))

    @governed("up")
    @br.service("up").guard
    async def ask():
        calls.append(1)
        if len(calls) < 3:
            raise TimeoutError
        return "yes"

    @governed("poor")
    @br.service("poor").guard
    async def ask_the_poor():
        raise TimeoutError("first")

    async def main():
        assert await ask() == "yes"
        with pytest.raises(RetryBudgetExhausted) as info:
            await ask_the_poor()
        assert info.value.reason == "budget"
        assert str(info.value.__cause__) == "first"

    asyncio.run(main())
    assert len(calls) == 3
    assert fleet.status("up")["retry_budget"]["granted"] == 2
