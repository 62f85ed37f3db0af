# SPDX-License-Identifier: Apache-2.0
"""Health probes of a real daemon: what they open and bring forward, and the life of
the prober's process."""
import os
import shutil
import signal

from brk import Allow, Deny
from harness import main, until
from prober_case import ProberCase
from upstream import is_alive, prober_of, wait_for_prober


class Meaning(ProberCase):
    def test_a_probe_opens_and_lets_try_and_never_closes(self):
        upstream = self.upstream(status=503)
        daemon = self.started(
            "[service llm]\nfailure_threshold = 3\nsuccess_threshold = 1\n"
            f"probe_url = {upstream.url('/health')}\n"
            "probe_interval = 100ms\nprobe_timeout = 2s\n")
        worker = daemon.worker()
        self.await_state(worker, "llm", "open")
        status = worker.service("llm")
        self.assertEqual(status["reason"], "consecutive_failures")
        self.assertEqual(status["evidence"][0]["worker"], "breakerd")
        self.assertEqual(status["evidence"][0]["text"], "probe: HTTP 503")
        self.assertEqual(status["counters"]["failure"], 0)
        self.assertEqual(status["window"]["calls"], 0)
        self.assertGreater(status["retry_after_ms"], 30000)
        upstream.status = 204
        self.await_state(worker, "llm", "half_open")
        self.assertEqual(worker.service("llm")["reason"], "probe_succeeded")
        seen = upstream.hits["/health"]
        until(lambda: upstream.hits["/health"] > seen + 3, "more probes")
        self.assertEqual(worker.service("llm")["state"], "half_open")
        permit = Allow(worker.ask("ACQUIRE llm")).permit
        worker.ask(f"REPORT llm {permit} - success")
        self.assertEqual(worker.service("llm")["state"], "closed")

    def test_the_network_chooses_the_provider(self):
        """A list of providers by preference; which of them is asked follows from
        whether an address on the net answers."""
        net = self.upstream()
        daemon = self.started(
            "[service internet]\nfailure_threshold = 2\n"
            "recovery_timeout = 1h\nmax_recovery_timeout = 1h\n"
            f"probe_url = {net.url('/generate_204')}\n"
            "probe_interval = 200ms\nprobe_timeout = 3s\n"
            "[service gpt-4]\nrequires = internet\n"
            "[service claude]\nrequires = internet\n"
            "[route chat]\nservices = gpt-4, claude, ollama\n")
        worker = daemon.worker()

        def chosen():
            return Allow(worker.ask("ACQUIRE chat")).service
        for _ in range(2):
            until(lambda: chosen() == "gpt-4", "the cloud to be chosen")
            net.status = 502
            until(lambda: chosen() == "ollama", "the local one to be chosen")
            self.assertEqual(Deny(worker.ask("ACQUIRE claude")).reason,
                             "requires")
            net.status = 200
        until(lambda: chosen() == "gpt-4", "the cloud to be back")

    def test_addresses_change_while_it_runs(self):
        first, second = self.upstream(status=500), self.upstream(status=500)
        text = ("[service llm]\nprobe_interval = 100ms\n"
                "failure_threshold = 0\nprobe_url = {}\n")
        daemon = self.started(text.format(first.url("/a")))
        operator = daemon.operator()
        until(lambda: first.hits.get("/a", 0) > 1, "probes of the file's")
        daemon.configure(text.format(second.url("/b")))
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: second.hits.get("/b", 0) > 1, "probes after SIGHUP")
        operator.document(f"SET llm probe_url {first.url('/c')}")
        until(lambda: first.hits.get("/c", 0) > 1, "probes after SET")
        operator.document(f"SET other probe_url {first.url('/d')}")
        operator.document("SET other probe_interval 100ms")
        until(lambda: first.hits.get("/d", 0) > 1, "probes of another")
        operator.ask("FORGET other")
        operator.document("UNSET llm probe_url")
        seen = second.hits["/b"]
        until(lambda: second.hits["/b"] > seen + 1, "the file's again")
        still = dict(first.hits)
        seen = second.hits["/b"]
        until(lambda: second.hits["/b"] > seen + 3, "a few more")
        self.assertEqual(first.hits, still)
        # With nothing to ask there is no process.
        pid = prober_of(daemon)
        self.assertIsNotNone(pid)
        operator.document("SET llm probe_url -")
        until(lambda: prober_of(daemon) is None, "the prober to end")

    def test_what_is_no_address_is_refused_with_a_sentence(self):
        daemon = self.daemon(config="[service llm]\nprobe_url = file:///etc\n")
        status, words = daemon.run("-n")
        self.assertEqual(status, 2)
        self.assertRegex(words, r"conf:2: probe_url: .*http")


class Process(ProberCase):
    def config(self, upstream):
        return (f"[service llm]\nprobe_url = {upstream.url('/h')}\n"
                "probe_interval = 100ms\n")

    def test_without_probes_there_is_no_prober(self):
        daemon = self.started("[service llm]\nfailure_threshold = 3\n")
        daemon.worker().ask("ACQUIRE llm")
        self.assertIsNone(prober_of(daemon))

    def test_it_holds_nothing_of_the_daemons(self):
        daemon = self.started(self.config(self.upstream()))
        pid = wait_for_prober(daemon)

        def opened():
            names = set()
            for fd in os.listdir(f"/proc/{pid}/fd"):
                try:
                    names.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
                except OSError:
                    pass
            return names
        until(lambda: not any(name.startswith(daemon.home + "/db") or
                              name.startswith(daemon.home + "/run")
                              for name in opened()), "it to let go")
        with open(f"/proc/{pid}/maps", encoding="utf-8") as f:
            self.assertNotIn("breakerd.shm", f.read())

        def rights():
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                return dict(line.split(":", 1) for line in f)
        until(lambda: rights()["NoNewPrivs"].strip() == "1",
              "it to give up new rights")
        if os.getuid() == 0:
            self.assertNotIn("0", rights()["Uid"].split())

    def test_killed_it_comes_back(self):
        upstream = self.upstream()
        daemon = self.started(self.config(upstream))
        pid = wait_for_prober(daemon)
        for _ in range(3):
            os.kill(pid, signal.SIGKILL)
            pid = wait_for_prober(daemon, other_than=pid)
            seen = upstream.hits.get("/h", 0)
            until(lambda: upstream.hits.get("/h", 0) > seen + 1, "probes")
        self.assertIn("the prober has died", daemon.log())

    def test_stopped_it_is_replaced(self):
        upstream = self.upstream()
        daemon = self.started(self.config(upstream))
        pid = wait_for_prober(daemon)
        os.kill(pid, signal.SIGSTOP)
        other = until(lambda: prober_of(daemon) not in (pid, None),
                      "another prober", patience_s=60)
        self.assertTrue(other)
        self.assertIn("the prober has said nothing", daemon.log())

    def test_it_goes_with_the_daemon(self):
        for ending in (signal.SIGKILL, signal.SIGTERM):
            daemon = self.started(self.config(self.upstream()))
            pid = wait_for_prober(daemon)
            daemon.process.send_signal(ending)
            daemon.process.wait(20)
            until(lambda p=pid: not is_alive(p), "the prober to be gone")

    def test_without_the_program_the_daemon_serves_and_says_so(self):
        upstream = self.upstream()
        daemon = self.daemon(config=self.config(upstream))
        alone = shutil.copy(os.environ["BREAKERD"], daemon.home)
        daemon.command = lambda: [alone, "--dir", daemon.dir, "--db",
                                  daemon.db, "-c", daemon.conf]
        daemon.start()
        until(lambda: "no health probes and no webhooks" in daemon.log(),
              "it to say so")
        self.assertTrue(daemon.worker().ask("ACQUIRE llm").startswith("ALLOW"))


if __name__ == "__main__":
    main()
