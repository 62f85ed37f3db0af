# SPDX-License-Identifier: Apache-2.0
"""Every Python block of the documents runs, page by page, as it is printed."""
import asyncio
import os
import pathlib
import re
import subprocess
import sys
import types

import httpx
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class OpenAI:
    """What the SDK does with an http_client, without the SDK."""

    def __init__(self, http_client):
        assert isinstance(http_client, httpx.Client)
        self.http_client = http_client


def blocks(page):
    text = (ROOT / "docs" / page).read_text()
    return [(text[:m.start()].count("\n") + 2, m.group(1))
            for m in re.finditer(r"^```python\n(.*?)^```", text, re.S | re.M)]


@pytest.mark.parametrize("page, least", [("python.md", 12), ("migrating.md", 7),
                                         ("../README.md", 1)])
def test_the_blocks_of_a_page(fleet, upstream, monkeypatch, page, least):
    monkeypatch.setenv("BREAKERD_DIR", fleet.dir)
    fake = types.ModuleType("openai")
    fake.OpenAI = OpenAI
    monkeypatch.setitem(sys.modules, "openai", fake)
    namespace = {}
    found = blocks(page)
    assert len(found) >= least
    for line, block in found:
        # The lines of an error are the document's.
        exec(compile("\n" * (line - 1) + block, f"docs/{page}", "exec"), namespace)
    if page == "python.md":
        assert asyncio.run(namespace["ask"]("this")) == "an answer to this"
        assert namespace["summarise"]("x" * 30) == "x" * 20
        assert list(namespace["tokens"]()) == ["a", "b", "c"]
        assert namespace["embed"]("four") == [4]
        assert asyncio.run(namespace["fetch"](upstream.url)) == 200
        client = namespace["client"].http_client
        assert client.get(upstream.url).status_code == 200
        assert namespace["session"].get_adapter("https://x").__class__.__module__ \
            == "breaker._requests"
        fleet.wait_for(upstream.url.replace("http://", ""), success=2)
    elif page == "../README.md":
        assert asyncio.run(namespace["ask"]("this")) == "an answer to this"
    else:
        assert namespace["load"]("a") == {"key": "a"}
        assert namespace["fetch"]() == namespace["fetch_before"]() == "page"
        assert namespace["answer"] == namespace["ask_before"]() == "yes"
        assert namespace["model"] == "first"
    namespace["br"].close()


def test_the_costs_are_printed(fleet):
    done = subprocess.run(
        [sys.executable, "-B", str(ROOT / "client/python/bench.py"), fleet.dir],
        capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT / "client" / "python")})
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    rows = [line.rsplit(maxsplit=2) for line in done.stdout.splitlines()[2:]]
    assert len(rows) == 8 and all(float(ns) > 0 for _, ns, _ in rows)
    assert "memory decides" in done.stdout


def test_the_example_bot(fleet, upstream):
    upstream.answers = [(503, {}, b"{}"),
                        (200, {"Content-Type": "application/json"}, b'{"answer": "noon"}')]

    def ask(*words):
        return subprocess.run(
            [sys.executable, "-B", str(ROOT / "examples" / "bot.py"), upstream.url, *words],
            input="What is the time?\n", capture_output=True, text=True, timeout=60,
            env={**os.environ, "BREAKERD_DIR": fleet.dir,
                 "PYTHONPATH": str(ROOT / "client" / "python")})

    done = ask()
    assert done.returncode == 0, done.stderr
    assert done.stdout == "noon\n"
    assert upstream.hits == 2
    fleet.order("TRIP", "llm", "-", "maintenance")
    done = ask("1")
    assert "I cannot answer now" in done.stdout and upstream.hits == 2
