# SPDX-License-Identifier: Apache-2.0
"""Big answers: a full table of services, a long history, while decisions go on."""
import json
import time

import harness

SERVICES = 4096


class FullTable(harness.SharedDaemonCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        names = [f"service-number-{i:04d}" for i in range(SERVICES)]
        for at in range(0, SERVICES, 1024):
            answers = cls.worker.ask_all(
                *[f"ACQUIRE {n}" for n in names[at:at + 1024]])
            assert all(a.startswith("ALLOW ") for a in answers), answers[-1]
        cls.names = names

    def pings_during(self, line):
        """Asks `line` as operator; times of PING until its answer is here."""
        self.operator.send(["big", "", line])
        times = []
        while not self.operator.socket.poll(0):
            start = time.perf_counter()
            self.worker.ask("PING")
            times.append(time.perf_counter() - start)
            self.assertLess(sum(times), harness.PATIENCE_S)
        frames = self.operator.receive()
        self.assertEqual(frames[:2], [b"big", b""])
        return times, frames[2].decode()

    def test_status_of_all_does_not_hold_up_decisions(self):
        worst, total, made = 0.0, 0.0, 0
        for _ in range(5):
            times, answer = self.pings_during("STATUS")
            services = json.loads(answer[3:])["services"]
            self.assertEqual(sorted(s["name"] for s in services), self.names)
            worst, total = max(worst, *times), total + sum(times)
            made += len(times) - 1  # the last may have come behind the answer
        self.assertGreater(made, 0, "no decision was made meanwhile")
        print(f"worst PING {worst * 1000:.1f} ms, "
              f"a STATUS {total * 200:.1f} ms", flush=True)
        self.assertLess(worst, max(0.1, total / 5 / 2))

    def test_several_at_once_and_lines_around_them(self):
        answers = self.operator.ask_all("PING", "STATUS", f"STATUS "
                                        f"{self.names[7]}", "STATUS", "PING")
        self.assertEqual(len(answers), 5)
        self.assertEqual(answers[0], answers[4])
        for answer in (answers[1], answers[3]):
            self.assertEqual(len(json.loads(answer[3:])["services"]), SERVICES)
        self.assertEqual(json.loads(answers[2][3:])["services"][0]["name"],
                         self.names[7])

    def test_asker_that_leaves_does_no_harm(self):
        for _ in range(10):
            client = self.shared.operator()
            client.send(["x", "", "STATUS", "STATUS"])
            time.sleep(0.005)
            client.close()
        self.assertRegex(self.worker.ask("PING"), "^PONG ")

    def test_reset_of_all(self):
        answer = self.operator.document("RESET * spring cleaning")
        self.assertEqual(answer["reset"], SERVICES)
        self.assertEqual(self.worker.service(self.names[9])["reason"],
                         "operator")

    def test_reset_of_all_names_every_override_it_leaves(self):
        for at in range(0, SERVICES, 1024):
            lines = [f"TRIP {n} - storm" for n in self.names[at:at + 1024]]
            for answer in self.operator.ask_all(*lines):
                self.assertTrue(answer.startswith("OK "), answer)
        answer = self.operator.document("RESET * after the storm")
        self.assertEqual(sorted(answer["overrides"]), self.names)
        answer = self.operator.document("AUTO * over")
        self.assertEqual(answer["overrides_removed"], SERVICES)


if __name__ == "__main__":
    harness.main()
