# SPDX-License-Identifier: Apache-2.0
"""One bot of the demonstration, with discord.py: calls at even times and prints, as
JSON, what its user saw. Its one line for breakerd is http_trace."""
import asyncio
import json
import os
import sys
import time

import discord
from discord.http import Route

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..",
                                "client", "python"))
from breaker import Breaker, CircuitOpen  # noqa: E402

ORDER = json.loads(sys.argv[1])
# How long calls may go on after the last has begun.
PATIENCE_S = 10
TOLD = {"wanted": 0, "answered": 0, "failed": 0, "refused": 0, "again": 0}


async def one(http):
    TOLD["wanted"] += 1
    try:
        await http.request(Route("POST", "/channels/{channel_id}/messages", channel_id=1),
                           json={"content": "hello"})
        TOLD["answered"] += 1
    except CircuitOpen:
        TOLD["refused"] += 1
    except discord.HTTPException:
        TOLD["failed"] += 1


async def main():
    trace = None
    if ORDER["governed"]:
        trace = Breaker(worker=ORDER["name"]).discord_trace(
            service=ORDER["service"], hosts=("127.0.0.1",))
    Route.BASE = ORDER["url"] + "/discord"
    async with discord.Client(intents=discord.Intents.none(), http_trace=trace) as client:
        await client.http.static_login("a.b.c")
        print("ready", flush=True)
        start_at = int(await asyncio.get_running_loop().run_in_executor(
            None, sys.stdin.readline))
        begun = []
        for i in range(int(ORDER["durationMs"] / ORDER["everyMs"])):
            at = (start_at + ORDER["offsetMs"] + i * ORDER["everyMs"]) / 1000
            await asyncio.sleep(max(0, at - time.time()))
            begun.append(asyncio.ensure_future(one(client.http)))
        _, late = await asyncio.wait(begun, timeout=PATIENCE_S)
        for task in late:
            task.cancel()
    print(json.dumps(TOLD), flush=True)


asyncio.run(main())
