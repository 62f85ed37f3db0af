# SPDX-License-Identifier: Apache-2.0
"""discord.py against a server that refuses as Discord does."""
import asyncio
import pathlib

import discord
import pytest
from discord.http import Route

from breaker import CircuitOpen
from conftest import Fleet
from harness import until

GATE = """\
[service discord:invalid]
failure_threshold = 0
failure_rate = 1
window = 670s
minimum_calls = 5
recovery_timeout = 500ms
success_threshold = 1
retry_ratio = 0
[service discord]
failure_threshold = 0
requires = discord:invalid
"""


@pytest.fixture
def bots():
    it = Fleet(GATE)
    yield it
    it.close()


def play(br, upstream, story):
    """Logs a real client in, with the one added line, and plays the story."""
    async def main():
        async with discord.Client(
                intents=discord.Intents.none(),
                http_trace=br.discord_trace(hosts=("127.0.0.1",))) as client:
            await client.http.static_login("a.b.c")
            await story(client.http)

    before, Route.BASE = Route.BASE, upstream.url
    me = b'{"id": "1", "username": "bot", "discriminator": "0001", "avatar": null}'
    upstream.answers = [(200, {"Content-Type": "application/json"}, me), *upstream.answers]
    try:
        asyncio.run(main())
    finally:
        Route.BASE = before


def test_a_bot_works_and_is_told(bots, upstream):
    async def story(http):
        await http.request(Route("GET", "/hello"))

    play(bots.breaker(), upstream, story)
    bots.wait_for("discord", success=upstream.hits)
    assert bots.counters("discord:invalid")["success"] == 0


def test_invalid_requests_of_the_whole_fleet_stop_before_a_ban(bots, upstream):
    upstream.answers = [(403, {}, b"{}")]

    async def first(http):
        for _ in range(3):
            with pytest.raises(discord.Forbidden):
                await http.request(Route("GET", "/secret"))

    play(bots.breaker(), upstream, first)
    bots.wait_for("discord:invalid", failure=3)
    upstream.answers = [(403, {}, b"{}")]

    async def second(http):
        for _ in range(2):
            with pytest.raises(discord.Forbidden):
                await http.request(Route("GET", "/secret"))
        until(lambda: bots.status("discord:invalid")["state"] == "open", "the early stop")
        before = upstream.hits
        with pytest.raises(CircuitOpen) as info:
            await http.request(Route("GET", "/secret"))
        assert info.value.service == "discord:invalid" and upstream.hits == before
        # Who has no hook is stopped by `requires`.
        with pytest.raises(CircuitOpen) as info:
            with bots.breaker().service("discord").call():
                pass
        assert info.value.reason == "requires"
        # Its time is over: a valid answer closes it.
        until(lambda: bots.status("discord:invalid")["state"] == "half_open", "the probe")
        upstream.answers = [(200, {}, b"{}")]
        await http.request(Route("GET", "/public"))
        until(lambda: bots.status("discord:invalid")["state"] == "closed", "the closing")

    play(bots.breaker(), upstream, second)


def test_a_shared_limit_is_no_invalid_request(bots, upstream):
    upstream.answers = [
        (429, {"X-RateLimit-Scope": "shared", "Retry-After": "0.01"}, b"{}"),
        (429, {"X-RateLimit-Scope": "user", "Retry-After": "0.01"}, b"{}")]

    async def story(http):
        for _ in range(2):
            with pytest.raises(discord.HTTPException):
                await http.request(Route("GET", "/busy"))
            await asyncio.sleep(0.2)  # the hold

    play(bots.breaker(), upstream, story)
    bots.wait_for("discord:invalid", failure=1, success=0)
    bots.wait_for("discord", rate_limited=2)


def test_without_its_configuration_the_gate_stays_out_of_the_way(fleet, upstream, caplog):
    upstream.answers = [(403, {}, b"{}")]

    async def story(http):
        for _ in range(8):
            with pytest.raises(discord.Forbidden):
                await http.request(Route("GET", "/secret"))

    play(fleet.breaker(), upstream, story)
    assert sum("examples/discord.conf" in r.message for r in caplog.records) == 1


def test_the_example_is_what_breakerd_takes():
    conf = pathlib.Path(__file__).resolve().parents[2] / "examples" / "discord.conf"
    fleet = Fleet(conf.read_text())
    try:
        assert fleet.status("discord:invalid")["state"] == "closed"
    finally:
        fleet.close()
