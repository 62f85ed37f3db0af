# SPDX-License-Identifier: Apache-2.0
"""breakerweb as a program and as an API: starting, answering, ending, and what it
says while the daemon comes and goes."""
import json
import os
import re
import signal
import socket
import tempfile
import unittest

from breakerweb import Web, run
from harness import Case, until

HEADERS = {
    "content-security-policy": None,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class WebCase(Case):
    def web(self, daemon, *args, **kwargs):
        directory = daemon if isinstance(daemon, str) else daemon.dir
        web = Web(directory, *args, **kwargs)
        self.addCleanup(web.close)
        return web

    def assert_headers(self, answer):
        for name, value in HEADERS.items():
            got = answer.header(name)
            self.assertIsNotNone(got, f"{name}: {answer}")
            if value is not None:
                self.assertEqual(got, value)
        policy = answer.header("content-security-policy")
        self.assertIn("default-src 'none'", policy)
        self.assertIn("frame-ancestors 'none'", policy)
        self.assertNotIn("unsafe", policy)
        for name in answer.headers:
            self.assertFalse(name.startswith("access-control"), name)


class Program(WebCase):
    def test_help_and_version(self):
        code, out, err = run("--help")
        self.assertEqual((code, err), (0, ""))
        for word in ("--dir", "--listen", "--allow-host", "/healthz", "/readyz",
                     "/api/v1/status"):
            self.assertIn(word, out)
        code, out, _ = run("--version")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"^breakerweb \d+\.\d+\.\d+\n$")

    def test_mistakes_of_usage(self):
        for words, says in (
                (["--bad"], "no option --bad"),
                (["--listen"], "--listen needs a value"),
                (["--listen", "nonsense"], "ADDRESS:PORT"),
                (["--listen", "127.0.0.1:70000"], "ADDRESS:PORT"),
                (["--listen", "example.org:80"], "numeric address"),
                (["--listen", "unix:relative"], "must be absolute"),
                (["--listen", "unix:/" + 120 * "x"], "longer"),
                (["--allow-host", "a:80"], "without a port"),
                (["--allow-host", "a\nb"], "host's name"),
                (5 * ["--listen", "127.0.0.1:0"], "4 times")):
            code, out, err = run(*words)
            self.assertEqual((code, out), (2, ""), err)
            self.assertIn(says, err)
            self.assertTrue(err.startswith("breakerweb: "), err)

    def test_a_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            code, _, err = run("--listen", f"127.0.0.1:{port}")
        self.assertEqual(code, 1)
        self.assertIn("something listens there already", err)
        self.assertEqual(len(err.splitlines()), 1)

    def test_signals_end_it_cleanly(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            web = self.web("/nonexistent")
            web.process.send_signal(number)
            self.assertEqual(web.process.wait(20), 0, web.said())

    def test_it_tells_the_manager(self):
        with tempfile.TemporaryDirectory() as home:
            path = os.path.join(home, "notify")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.bind(path)
                manager.settimeout(20)
                web = self.web("/nonexistent", env={"NOTIFY_SOCKET": path})
                self.assertEqual(manager.recv(100), b"READY=1")
                web.stop()
                self.assertEqual(manager.recv(100), b"STOPPING=1")

    def test_a_unix_socket(self):
        with tempfile.TemporaryDirectory() as home:
            path = os.path.join(home, "web.sock")
            # What a killed one leaves behind is no obstacle.
            left = socket.socket(socket.AF_UNIX)
            left.bind(path)
            left.close()
            web = self.web("/nonexistent", listen="unix:" + path)
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o660)
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(20)
            s.connect(path)
            answer = web.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
                              b"Connection: close\r\n\r\n", s)
            self.assertEqual((answer.status, answer.body), (200, b"ok\n"))
            code, _, err = run("--listen", "unix:" + path)
            self.assertEqual(code, 1, err)
            self.assertEqual(web.stop(), 0)
            self.assertFalse(os.path.exists(path))

    def test_a_socket_that_was_handed_over(self):
        with socket.create_server(("127.0.0.1", 0)) as passed:
            port = passed.getsockname()[1]

            def hand_over():
                os.dup2(passed.fileno(), 3, inheritable=True)

            web = self.web("/nonexistent", listen=None, close_fds=False,
                           preexec_fn=hand_over, env={"LISTEN_FDS": "1"})
            self.assertIn(f"serving on 127.0.0.1:{port}", web.said())
            self.assertEqual(web.get("/healthz").body, b"ok\n")
            self.assertEqual(web.stop(), 0)


class Api(WebCase):
    def setUp(self):
        self.home = self.daemon()
        self.home.start()
        self.page = self.web(self.home)

    def trip(self, name):
        worker = self.home.worker()
        for _ in range(5):
            worker.ask(f"REPORT {name} 0 - failure")

    def test_status(self):
        self.trip("gpt-4")
        self.home.worker().ask("REPORT claude 0 - success")
        answer = self.page.get("/api/v1/status")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.header("content-type"), "application/json")
        self.assert_headers(answer)
        document = answer.json()
        self.assertTrue(document["daemon"]["running"])
        self.assertEqual([(s["name"], s["state"]) for s in document["services"]],
                         [("claude", "closed"), ("gpt-4", "open")])
        self.assertNotIn("evidence", document["services"][0])

    def test_status_of_one(self):
        self.trip("a/b:c@d")
        for name in ("a/b:c@d", "a%2Fb%3ac%40d"):
            answer = self.page.get("/api/v1/status?service=" + name)
            self.assertEqual(answer.status, 200, answer)
            service, = answer.json()["services"]
            self.assertEqual(service["name"], "a/b:c@d")
            self.assertEqual(len(service["evidence"]), 5)

    def test_status_refuses(self):
        for query, status, code in (
                ("?service=none", 404, "unknown_service"),
                ("?service=", 400, "bad_service"),
                ("?service=a%20b", 400, "bad_service"),
                ("?service=a%0", 400, "bad_service"),
                ("?service=a%00b", 400, "bad_service"),
                ("?service=a&service=b", 400, "bad_service"),
                ("?service=" + 64 * "x", 400, "bad_service"),
                ("?service=" + 200 * "x", 400, "bad_service"),
                ("?other=1", 400, "bad_request"),
                ("?callback=x&service=a", 400, "bad_request")):
            answer = self.page.get("/api/v1/status" + query)
            self.assertEqual(answer.status, status, query)
            self.assertEqual(answer.json()["error"]["code"], code)
            self.assert_headers(answer)

    def test_history(self):
        self.trip("gpt-4")
        self.home.operator().ask("TRIP claude - <img src=x onerror=alert(1)>")
        self.home.operator().ask("SET claude failure_threshold 3")

        def lines():
            rows = self.page.get("/api/v1/history").json()["history"]
            return rows if len(rows) == 3 else None
        opened, forced, setting = until(lines, "three lines of history")
        self.assertEqual((opened["service"], opened["from"], opened["to"],
                          opened["reason"], opened["actor"]),
                         ("gpt-4", "closed", "open", "consecutive_failures", "-"))
        self.assertEqual((forced["service"], forced["mode"], forced["reason"],
                          forced["text"]),
                         ("claude", "forced_open", "operator",
                          "<img src=x onerror=alert(1)>"))
        self.assertRegex(forced["actor"], r"^\d+:\d+:\d+$")
        self.assertEqual(setting["service"], "claude")
        asked = self.home.operator().ask("HISTORY * 10")
        self.assertEqual(json.loads(asked[3:])["history"],
                         [opened, forced, setting])
        get = self.page.get
        self.assertEqual(get("/api/v1/history?limit=1").json()["history"],
                         [setting])
        self.assertEqual(
            get("/api/v1/history?service=gpt-4&limit=5").json()["history"],
            [opened])
        self.assertEqual(get("/api/v1/history?service=none").json()["history"],
                         [])
        for query in ("limit=0", "limit=257", "limit=x", "limit=",
                      "limit=1&limit=1", "service=%20"):
            self.assertEqual(get("/api/v1/history?" + query).status, 400, query)
        # It is in the segment, so it outlives the daemon, in whatever way.
        self.home.kill()
        self.assertEqual(get("/api/v1/history").json()["history"],
                         [opened, forced, setting])
        os.unlink(self.home.segment_path)
        self.home.start()
        self.assertEqual(until(lines, "history from the database"),
                         [opened, forced, setting])

    def test_history_goes_on_without_its_database(self):
        self.home.operator().ask("TRIP a - one")
        until(lambda: self.page.get("/api/v1/history").json()["history"],
              "a line of history")
        self.home.kill()
        for name in os.listdir(self.home.db_dir):
            os.unlink(os.path.join(self.home.db_dir, name))
        self.home.start()
        self.home.operator().ask("TRIP b - two")

        def texts():
            rows = self.page.get("/api/v1/history").json()["history"]
            said = [row["text"] for row in rows if row["text"]]
            return said if len(said) > 1 else None
        self.assertEqual(until(texts, "both lines"), ["one", "two"])

    def test_live(self):
        self.trip("gpt-4")
        document = self.page.get("/api/v1/live").json()
        self.assertTrue(document["full"])
        self.assertIsNone(document["trouble"])
        self.assertLess(document["heartbeat_age_ms"], 5000)
        (status, more), = document["services"]
        self.assertEqual((status["name"], status["state"]), ("gpt-4", "open"))
        self.assertEqual(len(more["slices"]), 10)
        self.assertEqual([sum(part) for part in zip(*more["slices"])], [5, 5])
        self.assertEqual(more["rules"]["failure_threshold"], 5)
        self.home.kill()

        def trouble():
            return self.page.get("/api/v1/live").json()["trouble"]
        self.assertIn("heartbeat", until(trouble, "a killed daemon"))

    def test_events(self):
        self.trip("earlier")
        until(lambda: self.page.get("/api/v1/history").json()["history"],
              "a line of history")
        stream = self.page.events()
        self.addCleanup(stream.close)
        name, first = stream.next()
        self.assertEqual((name, first["full"], len(first["services"])),
                         ("state", True, 1))
        self.trip("gpt-4")
        told = {}
        while len(told) < 2:
            name, data = stream.next()
            if name == "transition" or any(
                    status["name"] == "gpt-4" for status, _ in data["services"]):
                told[name] = data
        self.assertEqual((told["transition"]["service"],
                          told["transition"]["to"]), ("gpt-4", "open"))
        self.assertFalse(told["state"]["full"])
        # Whoever comes back hears what was missed.
        seq = told["transition"]["seq"]
        again = self.page.events(f"Last-Event-ID: {seq - 1}")
        self.addCleanup(again.close)
        self.assertEqual(again.next()[0], "state")
        self.assertEqual(again.next(), ("transition", told["transition"]))
        self.home.operator().ask("FORGET gpt-4")
        until(lambda: "gpt-4" in stream.next()[1].get("gone", ()),
              "a name that is gone", every_s=0)
        self.home.kill()
        until(lambda: stream.next()[1].get("trouble"), "word of the daemon",
              every_s=0)
        # Suspended or not, none keeps the server from ending.
        self.assertEqual(self.page.stop(), 0, self.page.said())

    def test_streams_are_bounded(self):
        streams = [self.page.events() for _ in range(16)]
        for stream in streams:
            self.addCleanup(stream.close)
            stream.next()
        refused = self.page.get("/api/v1/events")
        self.assertEqual(refused.status, 503)
        self.assertIn("/api/v1/live", refused.json()["error"]["text"])
        streams[0].close()

        def room():
            with self.page.events() as stream:
                return stream.status == 200
        until(room, "a stream that went to make room")

    def test_metrics(self):
        self.trip("gpt-4")
        answer = self.page.get("/metrics")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.header("content-type"),
                         "text/plain; version=0.0.4; charset=utf-8")
        self.assertIn(b'breakerd_circuit_state{service="gpt-4"} 1\n',
                      answer.body)
        answer = self.page.get("/metrics?compat=resilience4j")
        self.assertIn(b"resilience4j_circuitbreaker_state", answer.body)
        for query in ("compat=x", "compat=", "other=1"):
            self.assertEqual(self.page.get("/metrics?" + query).status, 400)

    def test_the_page_and_its_files(self):
        for path, kind in (("/", "text/html"), ("/style.css", "text/css"),
                           ("/app.js", "text/javascript"),
                           ("/icon.svg", "image/svg+xml")):
            answer = self.page.get(path)
            self.assertEqual(answer.status, 200)
            self.assertTrue(answer.header("content-type").startswith(kind))
            self.assert_headers(answer)
            # Nothing of another place, nothing inline: the policy forbids it.
            text = answer.body.decode()
            places = set(re.findall(r"https?://[^\s\"')]+", text))
            self.assertLessEqual(places, {"http://www.w3.org/2000/svg"})
            self.assertNotIn("innerHTML", text)
            self.assertNotRegex(text, r"<[^>]+\s(style|on[a-z]+)=")
            self.assertNotRegex(text, r"<script(?![^>]*src=)|<style")

    def test_every_path_is_described(self):
        described = self.page.get("/openapi.yaml").body.decode()
        paths = set(re.findall(r"^  (/\S*):$", described, re.M))
        shown = run("--help")[1].split("Paths:\n")[1]
        self.assertEqual(paths, set(re.findall(r"^  (/\S*) ", shown, re.M)))
        for path in paths - {"/api/v1/events"}:
            self.assertEqual(self.page.get(path).status, 200, path)

    def test_head_is_get_without_a_body(self):
        for path in ("/healthz", "/readyz", "/api/v1/status", "/", "/nothing"):
            got = self.page.get(path)
            head = self.page.get(path, method="HEAD")
            self.assertEqual(head.status, got.status)
            self.assertEqual(head.body, b"")
            self.assertEqual(set(head.headers), set(got.headers))
            self.assertEqual(head.header("content-type"),
                             got.header("content-type"))
            self.assert_headers(got)

    def test_ready_as_long_as_the_daemon_is(self):
        ready = self.page.get("/readyz")
        self.assertEqual((ready.status, ready.body), (200, b"ready\n"))
        os.kill(self.home.pid, signal.SIGSTOP)
        stopped = until(self.unready, "a stopped daemon to be noticed")
        self.assertRegex(stopped.body,
                         rb"^breakerd is gone or hangs; its last heartbeat was "
                         rb"[0-9.]+(ms|s|m)[^\n]* ago\n$")
        os.kill(self.home.pid, signal.SIGCONT)
        until(self.ready, "a daemon that goes on to be noticed")
        self.home.kill()
        until(self.unready, "a killed daemon to be noticed")
        self.assertEqual(self.page.get("/healthz").status, 200)
        document = self.page.get("/api/v1/status").json()
        self.assertFalse(document["daemon"]["running"])
        self.home.start()
        until(self.ready, "the next daemon to be noticed")
        self.home.stop()
        self.assertIn(b"was stopped", until(self.unready, "the end").body)

    def unready(self):
        answer = self.page.get("/readyz")
        return answer if answer.status == 503 else None

    def ready(self):
        return self.page.get("/readyz").status == 200

    def test_another_file_is_noticed(self):
        self.trip("old")
        self.assertEqual(len(self.page.get("/api/v1/status").json()["services"]),
                         1)
        self.home.kill()
        os.unlink(self.home.segment_path)
        gone = until(self.unready, "a missing file to be noticed")
        self.assertIn(b"no breakerd has run here", gone.body)
        self.assertEqual(self.page.get("/api/v1/status").status, 503)
        self.home.configure("[daemon]\nmax_services = 7\n")
        self.home.start()
        until(self.ready, "the new file to be noticed")
        self.trip("new")

        def names():
            document = self.page.get("/api/v1/status").json()
            return "new" in [s["name"] for s in document["services"]]
        until(names, "what is in the new file")

    def test_a_file_that_is_no_segment(self):
        self.home.stop()
        with open(self.home.segment_path + ".odd", "wb") as f:
            f.write(os.urandom(100000))
        os.chmod(self.home.segment_path + ".odd", 0o640)
        os.rename(self.home.segment_path + ".odd", self.home.segment_path)

        def says():
            answer = self.page.get("/api/v1/status")
            return answer.status == 503 and b"cannot be used" in answer.body
        until(says, "nonsense to be noticed")

    def test_before_any_daemon(self):
        with tempfile.TemporaryDirectory() as home:
            directory = os.path.join(home, "later")
            web = self.web(directory)
            until(lambda: "waiting for breakerd" in web.said(), "a word")
            self.assertEqual(web.get("/readyz").status, 503)
            self.assertEqual(web.get("/healthz").status, 200)
            later = self.daemon(args=["--dir", directory], with_dir=False)
            later.dir = directory
            later.start()
            until(lambda: web.get("/readyz").status == 200, "the first daemon")


if __name__ == "__main__":
    unittest.main()
