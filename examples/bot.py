#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A chat bot: each line of standard input is a question, all are asked at once, and an
outage of the model is waited out, or apologised for.

    bot.py URL [SECONDS]
"""
import asyncio
import sys

import httpx

from breaker import Breaker, BreakerError

br = Breaker()
llm = br.service("llm")


async def ask(http, url, question, patience):
    async for attempt in llm.attempts(deadline=patience):
        async with attempt:
            response = await http.post(url, json={"question": question},
                                       timeout=attempt.timeout)
            response.raise_for_status()
            return response.json()["answer"]


async def answer(http, url, question, patience):
    try:
        print(await ask(http, url, question, patience), flush=True)
    except BreakerError as e:
        print(f"I cannot answer now: {e}", flush=True)
    except httpx.HTTPError as e:
        print(f"I could not find out: {e}", flush=True)


async def main(url, patience=120.0):
    async with httpx.AsyncClient() as http:
        await asyncio.gather(*(answer(http, url, line.strip(), float(patience))
                               for line in sys.stdin))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: bot.py URL [SECONDS]")
    asyncio.run(main(*sys.argv[1:]))
