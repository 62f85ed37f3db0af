# SPDX-License-Identifier: Apache-2.0
"""Webhooks of a real daemon: what is sent, how often, and that nobody waits."""
import json
import os
import signal
import socket
import time

from harness import main, until
from prober_case import ProberCase
from upstream import prober_of, wait_for_prober


class Webhooks(ProberCase):
    def hook(self, target, name="ops", **keys):
        lines = [f"[webhook {name}]", f"url = {target.url('/hook/s3cret')}"]
        lines += [f"{key} = {value}" for key, value in keys.items()]
        return "\n".join(lines) + "\n"

    def bodies(self, target, count):
        until(lambda: len(target.posts) >= count, f"{count} messages")
        return [json.loads(body) for _, _, _, body in target.posts]

    def test_a_change_is_told_in_three_forms(self):
        generic, discord, slack = (self.upstream(status=204)
                                   for _ in range(3))
        daemon = self.started(
            self.hook(generic, "g", services="llm, other") +
            self.hook(discord, "d", format="discord") +
            self.hook(slack, "s", format="slack", services="*") +
            "[service llm]\nfailure_threshold = 2\n")
        operator = daemon.operator()
        operator.ask("REPORT llm 0 - failure")
        operator.ask("REPORT llm 0 - failure")
        event = self.bodies(generic, 1)[0]
        self.assertEqual(generic.posts[0][1:3],
                         ("/hook/s3cret", "application/cloudevents+json"))
        self.assertEqual(event["specversion"], "1.0")
        self.assertEqual(event["type"], "io.breakerd.circuit.transition")
        self.assertEqual(event["source"], f"//{socket.gethostname()}/breakerd")
        self.assertEqual(event["subject"], "llm")
        data = event["data"]
        self.assertEqual(
            [data[k] for k in ("service", "from", "to", "mode", "reason",
                               "generation", "actor", "count")],
            ["llm", "closed", "open", "auto", "consecutive_failures", 1, "-",
             1])
        self.assertEqual(data["at"], event["time"])
        self.assertGreater(data["until"], data["at"])
        embed = self.bodies(discord, 1)[0]["embeds"][0]
        self.assertEqual(embed["title"], "llm: closed -> open")
        self.assertIn("llm: closed -&gt; open", self.bodies(slack, 1)[0]["text"])
        # Each is told what it is to hear of, and an operator's words with it.
        operator.document("TRIP third - @everyone <b>")
        told = self.bodies(discord, 2)[1]
        self.assertEqual(told["allowed_mentions"], {"parse": []})
        self.assertEqual(told["embeds"][0]["description"],
                         "an operator ordered it: @everyone <b>")
        self.assertIn("&lt;b&gt;", self.bodies(slack, 2)[1]["text"])
        self.assertEqual(len(generic.posts), 1)
        # The address is a secret: it is in no log and in no answer.
        for text in (daemon.log(), operator.ask("CONFIG"),
                     operator.ask("CONFIG llm"), operator.ask("STATUS llm")):
            self.assertNotIn("s3cret", text)

    def test_a_flap_of_a_hundred_is_one_message(self):
        target = self.upstream()
        daemon = self.started(self.hook(target))
        operator = daemon.operator()
        lines = ["TRIP llm -", "AUTO llm"] * 50
        self.assertTrue(all(answer.startswith("OK") for answer in
                            operator.ask_all(*lines)))
        first = self.bodies(target, 1)[0]["data"]
        self.assertEqual((first["from"], first["to"], first["count"]),
                         ("closed", "half_open", 100))
        # The next one comes when ten seconds have passed, not before.
        operator.ask("RESET llm")
        second = self.bodies(target, 2)[1]["data"]
        self.assertEqual((second["from"], second["to"], second["count"]),
                         ("half_open", "closed", 1))
        self.assertGreater(target.posts[1][0] - target.posts[0][0], 9.5)
        self.assertEqual(len(target.posts), 2)

    def test_a_target_that_fails_is_tried_again(self):
        target = self.upstream(status=503)
        daemon = self.started(self.hook(target))
        operator = daemon.operator()
        operator.ask("TRIP llm -")
        until(lambda: len(target.posts) >= 2, "a second attempt")
        # What comes meanwhile goes along.
        operator.ask("AUTO llm")

        def last():
            return self.bodies(target, 1)[-1]["data"]
        until(lambda: last()["count"] == 2, "an attempt with both changes")
        self.assertEqual((last()["from"], last()["to"]),
                         ("closed", "half_open"))
        target.status = 200
        seen = len(target.posts)
        until(lambda: len(target.posts) > seen, "the attempt that succeeds")
        time.sleep(2)
        self.assertEqual(len(target.posts), seen + 1)

    def test_what_a_target_refuses_is_given_up(self):
        target = self.upstream(status=404)
        daemon = self.started(self.hook(target))
        daemon.operator().ask("TRIP llm -")
        until(lambda: "webhooks: ops: HTTP 404; 1 given up, 0 dropped" in daemon.log(),
              "it to be given up")
        self.assertEqual(len(target.posts), 1)

    def test_a_target_that_asks_to_wait_is_obeyed(self):
        target = self.upstream(status=429, headers=[("Retry-After", "3")])
        daemon = self.started(self.hook(target))
        daemon.operator().ask_all("TRIP llm -", "TRIP other -")
        until(lambda: target.posts, "the first attempt")
        target.status = 204
        self.bodies(target, 3)
        times = [at for at, _, _, _ in target.posts]
        # The whole target waits, not only the message that was refused.
        self.assertGreater(times[1] - times[0], 2.9)
        self.assertGreater(times[2] - times[0], 2.9)

    def test_targets_change_while_it_runs(self):
        first, second = self.upstream(), self.upstream()
        daemon = self.started(self.hook(first))
        operator = daemon.operator()
        operator.ask("TRIP llm -")
        self.bodies(first, 1)
        pid = prober_of(daemon)
        secret = os.path.join(daemon.home, "secret")
        with open(secret, "w", encoding="utf-8") as f:
            f.write(second.url("/from-a-file") + "\n")
        os.chmod(secret, 0o600)
        daemon.configure(f"[webhook ops]\nurl_file = {secret}\n")
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: "reload by signal" in daemon.log(), "the reload")
        operator.ask("TRIP other -")
        self.bodies(second, 1)
        self.assertEqual(second.posts[0][1], "/from-a-file")
        self.assertEqual(prober_of(daemon), pid)
        # Killed, it is told anew.
        os.kill(pid, signal.SIGKILL)
        wait_for_prober(daemon, other_than=pid)
        operator.ask("TRIP third -")
        self.bodies(second, 2)
        self.assertEqual(len(first.posts), 1)
        daemon.configure("")
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: prober_of(daemon) is None, "the prober to end")

    def test_a_dead_target_delays_nobody(self):
        with socket.socket() as dead:
            dead.bind(("127.0.0.1", 0))
            dead.listen(1)  # and never accepts
            url = f"http://127.0.0.1:{dead.getsockname()[1]}/"
            daemon = self.started(f"[webhook ops]\nurl = {url}\n")
            operator, worker = daemon.operator(), daemon.worker()
            slowest, end = 0.0, time.monotonic() + 3
            while time.monotonic() < end:
                began = time.monotonic()
                worker.ask("ACQUIRE calm")
                slowest = max(slowest, time.monotonic() - began)
                operator.ask_all("TRIP llm -", "AUTO llm")
            print(f"slowest answer {slowest * 1e3:.1f} ms")
            self.assertLess(slowest, 1.0)


if __name__ == "__main__":
    main()
