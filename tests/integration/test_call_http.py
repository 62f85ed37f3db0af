# SPDX-License-Identifier: Apache-2.0
"""Whole calls with libbreaker-curl, against web servers that others wrote and one
that breaks the rules. $CALL_HTTP names the worker, $BREAKERD the daemon."""
import email.utils
import json
import os
import subprocess
import sys
import time
import unittest

import harness
import web

CALL_HTTP = os.environ["CALL_HTTP"]

CONFIG = """
[defaults]
failure_threshold = 0
retry_min_per_sec = 1000
base_delay = 50ms
"""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine"
BUSY = (b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nConnection: close\r\n"
        b"\r\nbusy")
PROMISE = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n"


class Call:
    """What a worker said of one call: its words as attributes."""

    def __init__(self, line):
        words, self.body = line.split(" body=", 1)
        words, self.text = words.split(" text=", 1)
        for word in words.split():
            key, value = word.split("=", 1)
            try:
                value = float(value) if "." in value else int(value)
            except ValueError:
                pass
            setattr(self, key, value)

    def __repr__(self):
        return repr(vars(self))


class Case(unittest.TestCase):
    config = CONFIG

    @classmethod
    def setUpClass(cls):
        cls.daemon = harness.Daemon(cls.config).start()
        cls.addClassCleanup(cls.daemon.close)
        cls.numbers = iter(range(100000))

    def setUp(self):
        # Each test has a service of its own.
        self.service = f"web-{next(self.numbers)}"

    def lines(self, *words):
        done = subprocess.run(
            [CALL_HTTP, f"service={self.service}", *map(str, words)],
            env={**self.daemon.environment(), "BREAKERD_DIR": self.daemon.dir},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=90,
            check=False)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode().splitlines()

    def calls(self, *words):
        return [Call(line) for line in self.lines(*words)]

    def call(self, *words):
        calls = self.calls(*words)
        self.assertEqual(len(calls), 1)
        return calls[0]

    def expect(self, call, **wanted):
        for key, value in wanted.items():
            self.assertEqual(getattr(call, key), value, call)

    def between(self, low, value, high, call=None):
        self.assertLessEqual(low, value, call)
        self.assertLessEqual(value, high, call)

    def status(self):
        client = self.daemon.client(self.daemon.worker_path)
        reply = client.ask_all("STATUS " + self.service)[0]
        return json.loads(reply.removeprefix("OK "))["services"][0]

    def rogue(self, *acts):
        server = web.Rogue(*acts)
        self.addCleanup(server.close)
        return server


def location(path, status, body="", **headers):
    lines = "".join(f'add_header {k.replace("_", "-")} "{v}" always; '
                    for k, v in headers.items())
    return f"location = {path} {{ {lines} return {status} '{body}'; }}\n"


def error(**fields):
    return json.dumps({"error": fields})


class NginxCase(Case):
    """nginx with scripted errors."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        past = email.utils.formatdate(time.time() - 3600, usegmt=True)
        future = email.utils.formatdate(time.time() + 3600, usegmt=True)
        day = time.strftime("%A, %d-%b-%y %H:%M:%S GMT",
                            time.gmtime(time.time() + 3600))
        old = time.strftime("%a %b %e %H:%M:%S %Y",
                            time.gmtime(time.time() + 3600))
        cls.nginx = web.Nginx(
            """
            location = /flaky {
                if (-f $document_root/down) { return 503 "down"; }
                return 200 "fine";
            }
            location = /limited {
                if (-f $document_root/limit) { return 429 "slow"; }
                return 200 "fine";
                add_header Retry-After 1 always;
            }
            location = /mute {
                if (-f $document_root/mute) { return 444; }
                return 200 "fine";
            }
            """
            + location("/which", 200, "connection $connection")
            + "".join(location(f"/{s}", s, "no") for s in
                      (400, 401, 403, 404, 408, 422, 425, 500, 501, 502,
                       503, 504, 505, 529))
            + location("/seconds", 429, Retry_After="7")
            + location("/fraction", 429, Retry_After="1.5")
            + location("/future", 503, Retry_After=future)
            + location("/rfc850", 503, Retry_After=day)
            + location("/asctime", 503, Retry_After=old)
            + location("/past", 429, Retry_After=past)
            + location("/garbage", 429, Retry_After="soon")
            + location("/negative", 429, Retry_After="-5")
            + location("/endless", 429, Retry_After="9" * 40)
            + location("/ms", 429, Retry_After="9", Retry_After_Ms="1234")
            + location("/body", 429,
                       json.dumps({"retry_after": 2.25, "global": True}))
            + location("/bucket", 429,
                       json.dumps({"retry_after": 0.3, "global": False}),
                       Retry_After="1", X_RateLimit_Bucket="b1")
            + location("/global", 429,
                       json.dumps({"retry_after": 30.5, "global": True}),
                       Retry_After="31", X_RateLimit_Global="true")
            + location("/context", 400,
                       error(code="context_length_exceeded"))
            + location("/quota", 429, error(type="insufficient_quota"),
                       Retry_After="1")
            + location("/key", 403, error(message="Your API key is off"))
            + location("/overloaded", 529, error(type="overloaded_error")))
        cls.addClassCleanup(cls.nginx.close)

    def test_a_glitch_is_ridden_out(self):
        self.nginx.set("down")
        thread = self.nginx.unset("down", 0.4)
        call = self.call("attempts=10", "deadline=20000",
                         self.nginx.url("/flaky"))
        thread.join()
        self.expect(call, stop="success", code=200, body="fine", statuses=1)
        self.assertGreater(call.attempts, 1)

    def test_a_closed_connection_is_tried_again(self):
        self.nginx.set("mute")
        thread = self.nginx.unset("mute", 0.3)
        call = self.call("attempts=10", "deadline=20000",
                         self.nginx.url("/mute"))
        thread.join()
        self.expect(call, stop="success", body="fine")
        self.assertGreater(call.attempts, 1)

    def test_what_each_status_comes_to(self):
        for status, outcome, kind, tries in (
                (400, "rejected", "request", 1), (401, "critical", "auth", 1),
                (403, "rejected", "request", 1),
                (404, "rejected", "request", 1), (408, "timeout", "timeout", 2),
                (422, "rejected", "request", 1), (425, "failure", "server", 2),
                (500, "failure", "server", 2), (501, "rejected", "request", 1),
                (502, "failure", "server", 2), (503, "failure", "server", 2),
                (504, "timeout", "timeout", 2),
                (505, "rejected", "request", 1),
                (529, "failure", "overloaded", 2)):
            with self.subTest(status):
                call = self.call("attempts=2", "base=10",
                                 self.nginx.url(f"/{status}"))
                # The user sees the last answer, and that once.
                self.expect(call, outcome=outcome, attempts=tries, code=status,
                            body="no", statuses=1, text=f"HTTP {status}",
                            stop="max_attempts" if tries > 1
                            else "not_retryable")
                self.assertEqual(getattr(call, "class"), kind)

    def test_every_form_of_retry_after(self):
        for path, low, high in (
                ("seconds", 7000, 7000), ("fraction", 1500, 1500),
                ("future", 3400000, 3600000), ("rfc850", 3400000, 3600000),
                ("asctime", 3400000, 3600000), ("past", 0, 0),
                ("garbage", 0, 0), ("negative", 0, 0),
                ("endless", 86400000, 86400000), ("ms", 1234, 1234),
                ("body", 2250, 2250)):
            with self.subTest(path):
                self.service = f"after-{path}"
                call = self.call("attempts=1", self.nginx.url("/" + path))
                self.expect(call, attempts=1)
                self.between(low, call.retry_after_ms, high, call)

    def test_a_storm_of_limits_is_one_wait(self):
        self.nginx.set("limit")
        thread = self.nginx.unset("limit", 0.5)
        before = self.nginx.hits("/limited")
        calls = self.calls("multi=1", "deadline=30000",
                           *[self.nginx.url("/limited")] * 20)
        thread.join()
        self.assertEqual(len(calls), 20)
        for call in calls:
            self.expect(call, stop="success", body="fine", statuses=1)
            self.between(1000, call.elapsed_ms, 3000, call)
        self.between(21, self.nginx.hits("/limited") - before, 40)

    def test_a_bucket_holds_nobody_else(self):
        call = self.call("attempts=2", self.nginx.url("/bucket"))
        self.expect(call, outcome="rate_limited", attempts=2)
        self.between(300, call.waited_ms, 700, call)
        status = self.status()
        self.assertEqual(status["hold_ms"], 0)
        self.assertEqual(status["counters"]["rejected"], 2)

    def test_a_global_limit_holds_the_service(self):
        call = self.call("attempts=1", self.nginx.url("/global"))
        self.expect(call, outcome="rate_limited", retry_after_ms=30500)
        hold_ms = harness.until(lambda: self.status()["hold_ms"], "the hold to be told")
        self.between(25000, hold_ms, 30500)
        call = self.call(self.nginx.url("/flaky"))
        self.expect(call, stop="open", attempts=0, reason="rate_limited")

    def test_what_bodies_say(self):
        for path, outcome, kind, tries in (
                ("context", "rejected", "context_length", 1),
                ("quota", "critical", "billing", 1),
                ("key", "critical", "auth", 1),
                ("overloaded", "failure", "overloaded", 2)):
            with self.subTest(path):
                call = self.call("attempts=2", "base=10",
                                 self.nginx.url("/" + path))
                self.expect(call, outcome=outcome, attempts=tries, statuses=1)
                self.assertEqual(getattr(call, "class"), kind)
                self.assertIn("error", json.loads(call.body))

    def test_connections_stay_open_from_call_to_call(self):
        calls = self.calls("repeat=20", self.nginx.url("/which"))
        self.assertEqual([c.stop for c in calls], ["success"] * 20)
        self.assertEqual(len({c.body for c in calls}), 1)
        self.assertTrue(calls[0].body.startswith("connection "))


class HttpbinCase(Case):
    config = CONFIG + "[service leased]\nmax_concurrent = 4\n"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.httpbin = web.Httpbin()
        cls.addClassCleanup(cls.httpbin.close)

    def test_the_last_error_when_attempts_run_out(self):
        call = self.call("attempts=3", self.httpbin.url("/status/503"))
        self.expect(call, stop="max_attempts", attempts=3, waits=2, code=503)

    def test_an_attempt_has_a_timeout(self):
        call = self.call("attempts=2", "timeout=400",
                         self.httpbin.url("/delay/5"))
        self.expect(call, stop="max_attempts", attempts=2, outcome="timeout")
        self.between(800, call.elapsed_ms, 2000, call)

    def test_a_slow_stream_lives_by_its_progress(self):
        url = self.httpbin.url("/drip?duration=2&numbytes=10&delay=0")
        call = self.call("preset=streaming", "timeout=900", url)
        self.expect(call, stop="success", len=10, attempts=1)
        self.assertGreater(call.elapsed_ms, 1500)

    def test_progress_renews_the_lease(self):
        self.service = "leased"
        url = self.httpbin.url("/drip?duration=5&numbytes=20&delay=0")
        # Without a renewal the lease would be over after 900 ms and grace.
        call = self.call("preset=streaming", "timeout=900", url)
        self.expect(call, stop="success", len=20)
        harness.until(lambda: self.status()["permits"]["in_use"] == 0,
                      "the permit to come back")
        counters = self.status()["counters"]
        self.assertEqual((counters["success"], counters["timeout"],
                          counters["stale"]), (1, 0, 0))

    def test_one_of_a_loop_is_cancelled(self):
        urls = [self.httpbin.url("/delay/5")] + \
            [self.httpbin.url("/status/200")] * 3
        dropped, *calls = self.lines("multi=1", "drop=1", *urls)
        self.assertEqual(dropped, "dropped=0,-1")
        self.assertEqual(sorted(Call(c).stop for c in calls),
                         ["cancelled"] + ["success"] * 3)

    def test_a_loop_is_freed_with_transfers_under_way(self):
        urls = [self.httpbin.url("/delay/5")] * 3
        self.assertEqual(self.lines("multi=1", "leave=300", *urls), ["left=3"])
        harness.until(lambda: self.status()["counters"]["cancelled"] == 3,
                      "the calls to be told cancelled")

    def test_nothing_is_tried_again_behind_the_first_octet(self):
        url = self.httpbin.url("/drip?duration=4&numbytes=8&delay=0")
        call = self.call("timeout=1300", "attempts=5", url)
        self.expect(call, attempts=1, outcome="timeout", statuses=1,
                    stop="not_retryable")
        self.between(1, call.len, 7, call)

    def test_a_large_answer_comes_whole(self):
        call = self.call(self.httpbin.url("/bytes/100000"))
        self.expect(call, stop="success", len=100000)

    def test_many_flaky_calls_in_one_loop(self):
        url = self.httpbin.url("/status/200:0.6,503:0.4")
        calls = self.calls("multi=1", "attempts=25", "base=10",
                           "deadline=60000", *[url] * 30)
        self.assertEqual([c.stop for c in calls], ["success"] * 30)
        self.assertGreater(sum(c.attempts for c in calls), 30)

    def test_a_body_by_callback_arrives(self):
        call = self.call("read=hello", self.httpbin.url("/put"))
        self.expect(call, stop="success", code=200)
        self.assertIn("hello", call.body)

    def test_a_users_classifier_has_the_last_word(self):
        url = self.httpbin.url("/status/418")
        call = self.call("attempts=2", url)
        self.expect(call, outcome="rejected", attempts=1)
        call = self.call("attempts=2", "classify=failure", url)
        self.expect(call, outcome="failure", attempts=2, text="by the user")


class RogueCase(Case):
    def test_a_reset_before_the_body_is_tried_again(self):
        server = self.rogue([PROMISE, 0.1, "reset"], [OK])
        call = self.call(server.url())
        self.expect(call, stop="success", attempts=2, body="fine", statuses=1)

    def test_a_reset_in_the_body_is_not(self):
        server = self.rogue([PROMISE + b"half", 0.2, "reset"], [OK])
        call = self.call(server.url())
        self.expect(call, attempts=1, outcome="failure", body="half",
                    stop="not_retryable")
        self.assertEqual(len(server.requests), 1)

    def test_a_body_that_comes_short(self):
        call = self.call(self.rogue([PROMISE], [OK]).url())
        self.expect(call, stop="success", attempts=2, body="fine")
        call = self.call(self.rogue([PROMISE + b"half"], [OK]).url())
        self.expect(call, attempts=1, outcome="failure", code=18)

    def test_no_http_at_all(self):
        call = self.call(self.rogue([b"NOPE\r\n\r\n"], [OK]).url())
        self.expect(call, stop="success", attempts=2)
        call = self.call(self.rogue([]).url(), )
        self.expect(call, outcome="failure", attempts=3)
        self.assertEqual(getattr(call, "class"), "network")

    def test_a_trickle_of_headers_times_out(self):
        act = [b"HTTP/1.1 200 OK\r\n"] + [0.2, b"X: y\r\n"] * 20
        call = self.call("timeout=700", "attempts=1", self.rogue(act).url())
        self.expect(call, outcome="timeout", attempts=1, len=0)
        self.between(700, call.elapsed_ms, 1500, call)

    def test_an_errors_body_is_bounded(self):
        big = (b"HTTP/1.1 503 Busy\r\nContent-Length: 1000000\r\n"
               b"Connection: close\r\n\r\n" + b"x" * 1000000)
        call = self.call("attempts=1", self.rogue([big]).url())
        self.expect(call, outcome="failure", code=503, len=65536)

    def test_an_error_whose_body_hangs(self):
        head = b"HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nContent-Length: 9\r\n\r\n"
        call = self.call("timeout=400", "attempts=1",
                         self.rogue([head + b"b", 5]).url())
        self.expect(call, outcome="failure", code=503, retry_after_ms=3000)

    def test_requests_are_sent_again_whole(self):
        for how in ("post=hello", "read=hello"):
            with self.subTest(how):
                server = self.rogue([BUSY], [BUSY], [OK])
                call = self.call(how, server.url())
                self.expect(call, stop="success", attempts=3, body="fine")
                self.assertEqual(server.requests, [b"hello"] * 3)

    def test_what_cannot_be_sent_again_is_not(self):
        server = self.rogue([BUSY], [OK])
        call = self.call("stuck=hello", server.url())
        self.expect(call, attempts=1, code=503, body="busy")
        self.assertEqual(server.requests, [b"hello"])
        # Nothing was read of it: it can.
        self.service += "-refused"
        call = self.call("stuck=hello", "attempts=2",
                         f"http://127.0.0.1:{web.free_port()}/")
        self.expect(call, attempts=2, outcome="failure")

    def test_a_call_is_cancelled_at_once(self):
        server = self.rogue([30])
        call = self.call("cancel=400", server.url())
        self.expect(call, stop="cancelled", attempts=1)
        self.between(300, call.elapsed_ms, 900, call)
        self.assertEqual(self.status()["counters"]["failure"], 0)

    def test_a_wait_is_cancelled_at_once(self):
        busy = BUSY.replace(b"\r\n\r\n", b"\r\nRetry-After: 20\r\n\r\n")
        call = self.call("cancel=400", self.rogue([busy]).url())
        self.expect(call, stop="cancelled", attempts=1)
        self.between(300, call.elapsed_ms, 900, call)

    def test_a_user_that_takes_nothing(self):
        call = self.call("refuse=1", self.rogue([OK]).url())
        self.expect(call, outcome="cancelled", attempts=1)

    def test_a_look_up_that_hangs_times_out(self):
        call = self.call("timeout=400", "attempts=2", "http://hangs.invalid/")
        self.expect(call, outcome="timeout", attempts=2)
        self.between(800, call.elapsed_ms, 2000, call)

    def test_the_deadline_holds(self):
        call = self.call("deadline=700", "timeout=30000",
                         self.rogue([30]).url())
        self.between(600, call.elapsed_ms, 1300, call)
        self.expect(call, outcome="timeout")


class LocalCase(Case):
    config = "[defaults]\nfailure_threshold = 2\nretries = off\n"

    def test_out_of_descriptors_counts_against_nobody(self):
        server = self.rogue([OK])
        # From too few for a loop, by too few for a connection, to enough.
        seen = set()
        for files in range(1, 9):
            seen.update(getattr(call, "class") for call in self.calls(
                f"files={files}", "repeat=3", server.url())
                if call.stop != "error")
        self.assertEqual(seen, {"local", "none"})
        status = self.status()
        self.assertEqual(status["state"], "closed")
        self.assertEqual(status["counters"]["failure"], 0)

    def test_a_name_that_does_not_resolve(self):
        call = self.call("http://no-such-host.invalid/")
        self.expect(call, outcome="cancelled", attempts=1)
        self.assertEqual(getattr(call, "class"), "local")

    def test_a_refused_port_opens_the_circuit(self):
        url = f"http://127.0.0.1:{web.free_port()}/"
        for call in self.calls("repeat=2", url):
            self.expect(call, stop="off", attempts=1, outcome="failure")
        harness.until(lambda: self.status()["state"] == "open", "a trip")
        self.expect(self.call(url), stop="open", attempts=0, reason="open")


if __name__ == "__main__":
    if web.NGINX is None:
        print("nginx is missing: tools/install-packages check")
        sys.exit(77)
    unittest.main(verbosity=2)
