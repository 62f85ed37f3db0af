# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus scrapes a real breakerweb while workers call flaky upstreams, and
its queries give exactly what the upstreams have counted. `--minute` goes on for one."""
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

from brk import PATIENCE_S, Client
from breakerweb import Web
from exposition import expressions
from harness import Case, die_with_parent, main, until

ROOT = os.environ["BREAKERD_SOURCE"]
FLAKY_UPSTREAM = os.environ["FLAKY_UPSTREAM"]
PROMETHEUS = shutil.which("prometheus")
TRAFFIC_S = 60 if "--minute" in sys.argv else 8
CONFIG = """
[defaults]
failure_threshold = 3
recovery_timeout = 500ms
success_threshold = 1
jitter = none
base_delay = 10ms
[service sharp]
failure_threshold = 0
"""
SCRAPING = """
global:
  scrape_interval: 500ms
  evaluation_interval: 1s
rule_files: [{rules}]
scrape_configs:
  - job_name: breakerd
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
# Service, how its upstream behaves.
UPSTREAMS = {
    "down": "ok 2s; down 503 3s; ok",
    "limited": "429 retry-after=1 share=20%",
    "sharp": "down 503 share=30%",
}


def get(port, path, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", port,
                                            timeout=PATIENCE_S)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers
    finally:
        connection.close()


class Upstream:
    def __init__(self, script):
        self.process = subprocess.Popen(
            [FLAKY_UPSTREAM, script], stdout=subprocess.PIPE, text=True,
            preexec_fn=die_with_parent)
        self.port = int(self.process.stdout.readline().split()[1])
        self.control = int(self.process.stdout.readline().split()[1])

    def begin(self):
        """Its script and its counts begin anew."""
        assert get(self.control, "/start", "POST")[0] == 200

    def counted(self):
        """Answers that were good, and those that were not."""
        stats = json.loads(get(self.control, "/stats")[1])
        return stats["kinds"]["ok"], stats["hits"] - stats["kinds"]["ok"]

    def close(self):
        self.process.terminate()
        self.process.wait(PATIENCE_S)
        self.process.stdout.close()


class Worker(threading.Thread):
    """One call after the other, each asked for and reported over the wire."""

    OUTCOMES = {200: "success", 503: "failure", 429: "rate_limited"}

    def __init__(self, daemon, service, upstream):
        super().__init__(daemon=True)
        self.path, self.service, self.upstream = (
            daemon.worker_path, service, upstream)
        self.is_over = threading.Event()
        self.denied = {}
        self.retries = {"granted": 0, "denied": 0}
        self.trouble = None

    def run(self):
        client = Client(self.path)
        try:
            while not self.is_over.wait(0.02):
                self.call(client)
        except Exception as trouble:  # pylint: disable=broad-except
            self.trouble = trouble
        finally:
            client.close()

    def call(self, client):
        words = client.ask("ACQUIRE " + self.service).split()
        if words[0] == "DENY":
            self.denied[words[2]] = self.denied.get(words[2], 0) + 1
            return
        began = time.monotonic()
        status, _, headers = get(self.upstream.port, "/")
        took_us = int((time.monotonic() - began) * 1e6)
        wait_ms = int(headers.get("Retry-After", 0)) * 1000
        outcome = self.OUTCOMES[status]
        assert client.ask(
            f"REPORT {self.service} {words[2]} {words[3]} {outcome} {took_us} 1 "
            f"{wait_ms}") == "OK applied"
        if outcome == "failure":
            words = client.ask(f"RETRY {self.service} 1 failure").split()
            is_granted = words[0] == "GRANT"
            self.retries["granted" if is_granted else "denied"] += 1
            if is_granted:
                client.ask("RELEASE " + words[2])


class Prometheus:
    """Debian's, in a directory of its own, on a port of its own."""

    def __init__(self, web_port):
        self.home = tempfile.mkdtemp(prefix="breakerd-prometheus-")
        config = os.path.join(self.home, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as text:
            text.write(SCRAPING.format(
                port=web_port, rules=os.path.join(
                    ROOT, "deploy", "prometheus", "rules.yml")))
        self.log = open(os.path.join(self.home, "log"), "w+",
                        encoding="utf-8")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [PROMETHEUS, f"--config.file={config}",
             f"--storage.tsdb.path={self.home}/data",
             f"--web.listen-address=127.0.0.1:{self.port}",
             "--log.level=warn"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            cwd=self.home, preexec_fn=die_with_parent)
        until(self.is_ready, "Prometheus to serve", patience_s=60, every_s=0.1)

    def is_ready(self):
        if self.process.poll() is not None:
            self.log.seek(0)
            raise AssertionError("Prometheus ended:\n" + self.log.read())
        try:
            return get(self.port, "/-/ready")[0] == 200
        except OSError:
            return False

    def ask(self, path, **words):
        status, body, _ = get(
            self.port, f"/api/v1/{path}?{urllib.parse.urlencode(words)}")
        answer = json.loads(body)
        assert (status, answer["status"]) == (200, "success"), answer
        return answer["data"]

    def query(self, expression):
        """Samples by their labels, as Prometheus gives them."""
        return self.ask("query", query=expression)["result"]

    def value(self, expression):
        found = self.query(expression)
        assert len(found) == 1, f"{expression}: {found}"
        return float(found[0]["value"][1])

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.home, ignore_errors=True)


@unittest.skipUnless(PROMETHEUS, "prometheus is not installed")
class Scraped(Case):
    def begin(self):
        self.broken = self.daemon(config=CONFIG).start()
        self.upstreams = {}
        for name, script in UPSTREAMS.items():
            self.upstreams[name] = Upstream(script)
            self.addCleanup(self.upstreams[name].close)
        web = Web(self.broken.dir)
        self.addCleanup(web.close)
        prometheus = Prometheus(web.port)
        self.addCleanup(prometheus.close)
        # It looks for its targets some seconds after it serves.
        until(lambda: prometheus.query("breakerd_up"), "the first scrape",
              patience_s=60, every_s=0.1)
        return prometheus

    def play(self):
        workers = {name: Worker(self.broken, name, upstream)
                   for name, upstream in self.upstreams.items()}
        for worker in workers.values():
            worker.upstream.begin()
            worker.start()
        time.sleep(TRAFFIC_S)
        for worker in workers.values():
            worker.is_over.set()
        for worker in workers.values():
            worker.join(PATIENCE_S)
            self.assertFalse(worker.is_alive())
            if worker.trouble is not None:
                raise worker.trouble
        return workers

    def test_queries_give_what_the_upstreams_counted(self):
        prometheus = self.begin()
        workers = self.play()
        over = time.time()
        until(lambda: prometheus.value("timestamp(breakerd_up)") > over,
              "a scrape after the last call", every_s=0.2)
        for name, upstream in self.upstreams.items():
            self.check_service(prometheus, name, upstream.counted(), workers[name])
        self.assertGreaterEqual(
            prometheus.value('breakerd_circuit_opened_total{service="down"}'), 1)
        self.assertEqual(prometheus.value(
            'max_over_time(breakerd_circuit_state{service="down"}[5m])'), 1)
        self.assertEqual(prometheus.value("min_over_time(up[5m])"), 1)
        self.assertEqual(prometheus.value("min_over_time(breakerd_up[5m])"), 1)
        self.check_counters_never_fell(prometheus)
        self.check_rules(prometheus)
        self.check_dashboard(prometheus)

    def check_service(self, prometheus, name, counted, worker):
        def count(metric, **labels):
            labels["service"] = name
            words = ",".join(f'{k}="{v}"' for k, v in labels.items())
            return prometheus.value(f"sum({metric}{{{words}}})")
        failed = "rate_limited" if name == "limited" else "failure"
        good, bad = counted
        self.assertGreater(good, 0)
        self.assertGreater(bad, 0)
        self.assertEqual(count("breakerd_calls_total", outcome="success"),
                         good)
        self.assertEqual(count("breakerd_calls_total", outcome=failed),
                         bad)
        hits = good + bad
        self.assertEqual(count("breakerd_calls_total"), hits)
        self.assertEqual(count("breakerd_calls_allowed_total"), hits)
        self.assertEqual(count("breakerd_call_duration_seconds_count"), hits)
        self.assertEqual(count("breakerd_calls_rejected_total"),
                         sum(worker.denied.values()))
        for reason, denied in worker.denied.items():
            self.assertEqual(
                count("breakerd_calls_rejected_total", reason=reason), denied)
        for result, retries in worker.retries.items():
            self.assertEqual(
                count("breakerd_retries_total", result=result), retries)

    def check_counters_never_fell(self, prometheus):
        for metric in ("breakerd_calls_total", "breakerd_calls_rejected_total",
                       "breakerd_circuit_open_seconds_total",
                       "breakerd_messages_total"):
            for sample in prometheus.query(f"resets({metric}[5m])"):
                self.assertEqual(sample["value"][1], "0", sample)

    def check_rules(self, prometheus):
        groups = prometheus.ask("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        self.assertGreater(len(rules), 5)
        for rule in rules:
            self.assertEqual(rule["health"], "ok", rule)

    def check_dashboard(self, prometheus):
        """Every expression is one that Prometheus takes."""
        path = os.path.join(ROOT, "deploy", "grafana", "breakerd.json")
        with open(path, encoding="utf-8") as text:
            dashboard = json.load(text)
        for panel in dashboard["panels"]:
            for expression in expressions(panel["targets"]):
                expression = re.sub(r'"\$(job|instance|service)"', '".*"',
                                    expression)
                prometheus.query(
                    expression.replace("$__rate_interval", "5s"))


if __name__ == "__main__":
    if "--minute" in sys.argv:
        sys.argv.remove("--minute")
    main()
