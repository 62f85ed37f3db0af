# SPDX-License-Identifier: Apache-2.0
"""Forks: a parent that opens and children that use it, as gunicorn, uvicorn and
multiprocessing have it."""
import asyncio
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest

from breaker import CircuitOpen
from harness import die_with_parent, until

CHILDREN = 8
CALLS = 400


def fork(work):
    """A child that does this and nothing of the test's."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            die_with_parent()
            work()
            status = 0
        finally:
            os._exit(status)
    return pid


def ends_well(pid):
    def ended():
        done, status = os.waitpid(pid, os.WNOHANG)
        return (status,) if done else None

    status, = until(ended, f"the end of {pid}")
    return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0


def test_children_of_one_parent_count_exactly(fleet, tmp_path):
    """One of them is killed; what it had told by then stays counted."""
    first = fleet.breaker()
    fleet.is_known(first, "llm")
    first.close()
    before = fleet.counters("llm")["allowed"]
    br = fleet.breaker(deadline_ms=20000)
    service = br.service("llm")
    with service.call():
        pass
    fleet.wait_for("llm", success=1)

    def work(number):
        done = 0
        victim = number == 0
        while done < CALLS or victim:
            with service.call() as c:
                c.result(200)
            done += 1
            if victim and done == CALLS // 2:
                br.close()  # all of it has been told
                (tmp_path / "0").write_text(str(done))
                time.sleep(60)
        br.close()
        (tmp_path / str(number)).write_text(json.dumps(done))

    children = [fork(lambda n=n: work(n)) for n in range(CHILDREN)]
    until((tmp_path / "0").exists, "the victim's half")
    os.kill(children[0], signal.SIGKILL)
    assert not ends_well(children[0])
    assert all(ends_well(pid) for pid in children[1:])
    total = sum(int((tmp_path / str(n)).read_text()) for n in range(CHILDREN))
    assert total == (CHILDREN - 1) * CALLS + CALLS // 2
    with service.call():
        pass
    br.close()
    fleet.wait_for("llm", success=total + 2, allowed=before + total + 2, failure=0,
                   timeout=0, cancelled=0)


def test_a_killed_child_frees_its_permit(fleet, br, tmp_path):
    service = br.service("slow")

    def hold():
        with service.call():
            (tmp_path / "held").touch()
            time.sleep(60)

    child = fork(hold)
    until((tmp_path / "held").exists, "the child's permit")
    try:
        with service.call():
            raise AssertionError("two at once")
    except CircuitOpen as e:
        assert e.reason == "concurrency"
    os.kill(child, signal.SIGKILL)
    assert not ends_well(child)

    def is_free():
        try:
            with service.call():
                return True
        except CircuitOpen:
            return False

    until(is_free, "the permit of the dead")


def test_a_fork_in_the_middle_of_everything(fleet, br):
    """Threads call and ask while it happens; child and parent go on."""
    service = fleet.is_known(br, "llm")
    slow = br.service("slow")
    is_over = threading.Event()

    def work():
        while not is_over.is_set():
            with service.call() as c:
                c.result(200)
            try:
                with slow.call():
                    pass
            except CircuitOpen:
                pass

    def child():
        async def ask():
            async with service.call() as c:
                c.result(200)
            async for attempt in service.attempts(max=2):
                async with attempt:
                    pass

        for _ in range(20):
            with service.call() as c:
                c.result(200)
        asyncio.run(ask())
        br.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            assert ends_well(fork(child))
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    with service.call():
        pass


def test_a_permit_of_the_parent_is_the_parents(fleet, br):
    service = br.service("slow")
    with service.call():
        def child():
            # What the parent began is not the child's to end.
            call = service.call()
            try:
                call.__enter__()
            except CircuitOpen:
                br.close()
                return
            raise AssertionError("two at once")

        assert ends_well(fork(child))
        assert fleet.status("slow")["permits"]["in_use"] == 1
    until(lambda: fleet.status("slow")["permits"]["in_use"] == 0, "the end")


def _pool_work(number):
    with _pool_service.call() as c:
        c.result(200)
    return number


def test_multiprocessing(fleet, br):
    global _pool_service
    _pool_service = br.service("llm")
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert sorted(pool.map(_pool_work, range(60))) == list(range(60))
        fleet.wait_for("llm", success=60)


ENDINGS = {
    # Its children end by os._exit.
    "multiprocessing": """
import multiprocessing
def work(_number):
    for _ in range(50):
        with service.call():
            pass
work(0)
with multiprocessing.get_context("fork").Pool(2) as pool:
    pool.map(work, range(3))
    pool.close()
    pool.join()
""",
    # There are no threads any more, and a loop all the same.
    "late": """
import asyncio, atexit
async def late():
    for _ in range(100):
        async with service.call():
            pass
    async for attempt in service.attempts():
        async with attempt:
            raise TypeError("mine")
def last():
    try:
        asyncio.run(late())
    except TypeError:
        for _ in range(99):
            with service.call():
                pass
atexit.register(last)
""",
}


@pytest.mark.parametrize("how", ENDINGS)
def test_the_end_of_a_program_tells_all(fleet, how):
    code = "from breaker import Breaker\nservice = Breaker(deadline_ms=5000).service('llm')\n"
    env = {**os.environ, "BREAKERD_DIR": fleet.dir, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code + ENDINGS[how]], env=env,
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    is_late = how == "late"
    fleet.wait_for("llm", allowed=200, success=200 - is_late, cancelled=int(is_late))


def test_an_end_is_not_put_off_by_what_threads_go_on_telling(fleet):
    code = """
import threading, time
from breaker import Breaker
service = Breaker(deadline_ms=5000).service("llm")
def work():
    while True:
        with service.call():
            time.sleep(0.0002)
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.3)
"""
    env = {**os.environ, "BREAKERD_DIR": fleet.dir, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    until(lambda: fleet.counters("llm")["success"] > 100, "what the threads told")


def test_gunicorn_preloads_and_its_workers_share_the_circuit(fleet, tmp_path):
    """The parent imports the application, opens and calls; workers are forked."""
    (tmp_path / "app.py").write_text("""
import os
from breaker import Breaker, CircuitOpen
br = Breaker()
service = br.service("web")
with service.call():
    pass
def app(environ, start_response):
    try:
        with service.call() as c:
            c.result(200)
            status = "200 OK"
    except CircuitOpen:
        status = "503 Service Unavailable"
    start_response(status, [("Content-Length", "0"), ("X-Pid", str(os.getpid()))])
    return [b""]
""")
    env = {**os.environ, "BREAKERD_DIR": fleet.dir,
           "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path[:2]])}
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    log = open(tmp_path / "log", "wb")
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--preload", "-w", "2", "-b", f"127.0.0.1:{port}",
         "--graceful-timeout", "5", "app:app"],
        env=env, cwd=tmp_path, stdout=log, stderr=log, preexec_fn=die_with_parent)
    try:
        def get():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as r:
                    return r.status
            except urllib.error.HTTPError as e:
                return e.code
            except OSError:
                return None

        until(lambda: get() == 200, "gunicorn")
        assert [get() for _ in range(40)] == [200] * 40
        fleet.wait_for("web", success=42)  # what comes after the trip is stale
        fleet.order("TRIP", "web", "-", "maintenance")
        until(lambda: get() == 503, "the trip in a worker")
        assert [get() for _ in range(10)] == [503] * 10
    finally:
        server.terminate()
        server.wait(20)
        log.close()
    text = (tmp_path / "log").read_text()
    assert "Traceback" not in text, text
