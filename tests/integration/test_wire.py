# SPDX-License-Identifier: Apache-2.0
"""Messages, envelopes and lines: what is answered, where, and what is not."""
import zmq

import harness
from brk import Allow

ENVELOPES = [[], ["a"], ["a", "b"], ["a", "b", "c"], ["a" * 64, "b", "c", "d"]]


class Envelopes(harness.SharedDaemonCase):
    def test_comes_back_whatever_its_length(self):
        for envelope in ENVELOPES:
            self.worker.send([*envelope, "", "PING"])
            frames = self.worker.receive()
            head = [f.encode() for f in envelope]
            self.assertEqual(frames[:-1], head + [b""])
            self.assertRegex(frames[-1], rb"^PONG \d+$")

    def test_may_hold_any_octets(self):
        tag = bytes(range(1, 65))
        self.worker.send([tag, b"\x00\xff", "", "PING"])
        self.assertEqual(self.worker.receive()[:2], [tag, b"\x00\xff"])

    def test_of_five_frames_is_dropped(self):
        self.worker.send(["a", "b", "c", "d", "e", "", "PING"])
        self.assert_next_is_ours()

    def test_frame_of_65_octets_is_dropped(self):
        self.worker.send(["a" * 65, "", "PING"])
        self.assert_next_is_ours()

    def test_without_delimiter_is_dropped(self):
        self.worker.send(["PING"])
        self.worker.send(["PING", "PING"])
        self.assert_next_is_ours()

    def test_without_line_is_dropped(self):
        self.worker.send([""])
        self.worker.send(["a", ""])
        self.assert_next_is_ours()

    def assert_next_is_ours(self):
        """Nothing was answered before this question."""
        self.worker.send(["ours", "", "PING"])
        self.assertEqual(self.worker.receive()[0], b"ours")


class Requests(harness.SharedDaemonCase):
    def test_of_a_req_socket(self):
        req = self.shared.req()
        for _ in range(3):
            req.send(["PING"])
            self.assertRegex(req.receive()[0], rb"^PONG \d+$")
        req.send([f"ACQUIRE {self.name()}"])
        self.assertRegex(req.receive()[0], rb"^ALLOW \S+ 0 0 closed$")
        req.send(["NONSENSE"])
        self.assertRegex(req.receive()[0], rb"^ERR unknown_command ")

    def test_of_one_that_asks_for_signs_of_life(self):
        """ZeroMQ's heartbeats: whoever gets none takes the connection for lost."""
        patient = zmq.Context.instance().socket(zmq.DEALER)
        patient.linger = 0
        patient.setsockopt(zmq.HEARTBEAT_IVL, 20)
        patient.setsockopt(zmq.HEARTBEAT_TIMEOUT, 500)
        patient.setsockopt(zmq.HEARTBEAT_TTL, 1000)
        lost = patient.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        patient.connect("ipc://" + self.shared.worker_path)
        try:
            self.assertEqual(lost.poll(1500), 0)
            patient.send_multipart([b"", b"PING"])
            self.assertTrue(patient.poll(20000))
            self.assertRegex(patient.recv_multipart()[1], rb"^PONG \d+$")
        finally:
            patient.disable_monitor()
            lost.close()
            patient.close()

    def test_several_lines_are_answered_in_order(self):
        name = self.name()
        answers = self.worker.ask_all(
            "PING", f"ACQUIRE {name}", f"REPORTQ {name} 0 0 failure",
            "FROB", f"TALLYQ {name} allowed 3", f"REPORT {name} 0 0 success",
            f"STATUS {name}")
        self.assertEqual([a.split(" ")[0] for a in answers],
                         ["PONG", "ALLOW", "ERR", "OK", "OK"])
        counters = self.worker.service(name)["counters"]
        self.assertEqual((counters["failure"], counters["success"],
                          counters["allowed"]), (1, 1, 4))

    def test_of_1024_lines(self):
        answers = self.worker.ask_all(*["PING"] * 1024)
        self.assertEqual(len(answers), 1024)
        self.assertEqual(len(set(answers)), 1)

    def test_of_1025_lines_is_dropped(self):
        name = self.name()
        self.worker.send(["x", "", *[f"ACQUIRE {name}"] * 1025])
        self.worker.send(["ours", "", f"STATUS {name}"])
        frames = self.worker.receive()
        self.assertEqual(frames[0], b"ours")
        self.assertRegex(frames[2], rb"^ERR unknown_service ")

    def test_pipelined_with_correlation_ids(self):
        name = self.name()
        for i in range(500):
            self.worker.send([b"c%d" % i, "", f"ACQUIRE {name}-{i % 7}"])
        for i in range(500):
            frames = self.worker.receive()
            self.assertEqual(frames[0], b"c%d" % i)
            self.assertEqual(Allow(frames[2].decode()).service,
                             f"{name}-{i % 7}")

    def test_silent_lines_are_never_answered(self):
        name = self.name()
        self.worker.tell(f"REPORTQ {name} 0 - success")
        self.worker.tell(f"TALLYQ {name} denied 2 open")
        for bad in ("REPORTQ", "REPORTQ *", f"REPORTQ {name}",
                    f"REPORTQ {name} 0 - no_such_outcome", "TALLYQ",
                    f"TALLYQ {name} maybe 1", f"TALLYQ {name} allowed",
                    f"TALLYQ {name} allowed 9007199254740992", "TALLYQ a,b "
                    "allowed 1", f"REPORTQ {name} 99 - success",
                    "REPORTQ no\x01pe 0 - success",
                    "REPORTQ " + "x" * 2000):
            self.worker.tell(bad)
        self.worker.send(["ours", "", "PING"])
        self.assertEqual(self.worker.receive()[0], b"ours")
        counters = self.worker.service(name)["counters"]
        self.assertEqual((counters["success"], counters["denied"]), (1, 2))
        self.assertEqual(counters["allowed"], 0)

    def test_order_of_one_connection_is_kept(self):
        name = self.name()
        for i in range(200):
            outcome = "success" if i % 4 == 3 else "failure"
            self.worker.tell(f"REPORTQ {name} 0 0 {outcome}")
        service = self.worker.service(name)
        self.assertEqual(service["state"], "closed")
        self.assertEqual(service["counters"]["failure"], 150)


class Lines(harness.SharedDaemonCase):
    def test_faulty_ones(self):
        name = self.name()
        cases = {
            "": "bad_request",
            " ": "bad_request",
            " PING": "bad_request",
            "PING\n": "bad_request",
            "PING \x7f": "bad_request",
            f"ACQUIRE\t{name}": "bad_request",
            f"ACQUIRE  {name}": "bad_request",
            "ping": "unknown_command",
            "PINGS": "unknown_command",
            "NO such command": "unknown_command",
            "ACQUIRE": "bad_request",
            f"ACQUIRE {name} 0": "bad_request",
            f"ACQUIRE {name} x": "bad_request",
            f"ACQUIRE {name} -1": "bad_request",
            f"ACQUIRE {name} 1.5": "bad_request",
            f"ACQUIRE {name} 1 0 0": "bad_request",
            f"ACQUIRE {name} 1 0 1s": "bad_request",
            f"REPORT {name}": "bad_request",
            f"REPORT {name} 0": "bad_request",
            f"REPORT {name} 0 0": "bad_request",
            f"REPORT {name} 0 0 sucess": "bad_request",
            f"REPORT {name} 0 0 success 1ms": "bad_request",
            f"REPORT {name} 0 0 success 1 +": "bad_request",
            f"REPORT {name} 0 0 success 1 1 soon": "bad_request",
            f"REPORT {name} x 0 success": "bad_request",
            f"RETRY {name}": "bad_request",
            f"RETRY {name} 1": "bad_request",
            f"RETRY {name} 0 failure": "bad_request",
            f"RETRY {name} 1 perhaps": "bad_request",
            f"RETRY {name} 1 failure x": "bad_request",
            "RELEASE": "bad_request",
            "RELEASE x": "bad_request",
            "RENEW 1": "bad_request",
            "RENEW 1 0": "bad_request",
            "RENEW x 5": "bad_request",
            "HELLO": "bad_request",
            "HELLO 2 me 1": "bad_request",
        }
        for line, code in cases.items():
            with self.subTest(line=line):
                self.assert_error(self.worker.ask(line), code)

    def test_of_1024_octets_is_read_and_of_1025_is_not(self):
        line = f"REPORT {self.name()} 0 0 failure 1 1 0 "
        self.assertEqual(
            self.worker.ask(line + "x" * (1024 - len(line))), "OK applied")
        self.assert_error(
            self.worker.ask(line + "x" * (1025 - len(line))), "bad_request")
        self.assert_error(self.worker.ask("P" * 8192), "bad_request")

    def test_extra_words_are_ignored(self):
        name = self.name()
        self.assertRegex(self.worker.ask("PING now please"), r"^PONG \d+$")
        Allow(self.worker.ask(f"ACQUIRE {name} 1 0 500 more words 7"))
        self.assertEqual(self.worker.ask("RELEASE 0 whatever"), "OK stale")
        self.assertTrue(self.worker.document(f"STATUS {name} in full"))
        self.assertRegex(
            self.worker.ask(f"RETRY {name} 1 failure 0 and so on"),
            r"^GRANT ")

    def test_utf8_text_is_taken(self):
        name = self.name()
        self.assertEqual(self.worker.ask(
            f"REPORT {name} 0 0 failure 1 1 0 Zeitüberschreitung \u2713"),
            "OK applied")
        self.assertEqual(self.worker.service(name)["evidence"][-1]["text"],
                         "Zeitüberschreitung \u2713")

    def test_bad_octets_of_text_cannot_break_json(self):
        name = self.name()
        self.worker.send(["x", "", f"REPORT {name} 0 0 failure 1 1 0 ".encode()
                          + b'"\\ \xff\xc0\xaf\xed\xa0\x80 end'])
        self.assertEqual(self.worker.receive()[2], b"OK applied")
        text = self.worker.service(name)["evidence"][-1]["text"]
        self.assertTrue(text.startswith('"\\ \ufffd'), text)
        self.assertTrue(text.endswith(" end"), text)

    def test_numbers_end_below_2_to_the_53(self):
        name = self.name()
        last, end = 2 ** 53 - 1, 2 ** 53
        self.assertEqual(
            self.worker.ask(f"REPORT {name} 0 0 success {last}"), "OK applied")
        self.assertEqual(
            self.worker.ask(f"REPORT {name} {last} 0 success"), "OK unknown")
        self.assertEqual(
            self.worker.ask(f"REPORT {name} 0 {last} success"), "OK unknown")
        self.assertEqual(self.worker.ask(f"RELEASE {last}"), "OK stale")
        Allow(self.worker.ask(f"ACQUIRE {name} 1 0 {last}"))
        for line in (f"REPORT {name} 0 0 success {end}",
                     f"REPORT {name} {end} 0 success",
                     f"REPORT {name} 0 {end} success",
                     f"REPORT {name} 0 0 success 1 {end}",
                     f"REPORT {name} 0 0 success 1 1 {end}",
                     f"RELEASE {end}", f"RENEW 1 {end}", f"RELEASE {2 ** 64}",
                     f"ACQUIRE {name} {end}", f"ACQUIRE {name} 1 {end}",
                     f"ACQUIRE {name} 1 0 {end}", f"RETRY {name} {end} failure",
                     "RELEASE " + "9" * 400):
            with self.subTest(line=line[:60]):
                self.assert_error(self.worker.ask(line), "bad_request")


class Names(harness.SharedDaemonCase):
    good = ["a", "Z", "0", "a-b", "--", "-a", ".", "..", "http://h:80/p@q",
            "x" * 63, "_", "gpt-4.1/eu_west:2@main"]
    bad = ["*", "-", "x" * 64, "a,b", "a*", "a=b", "é", "a\\b", 'a"b', "a?b",
           "a%20b", "a(b)", "a;b", "~a"]

    def test_good_ones_are_served(self):
        for name in self.good:
            with self.subTest(name=name):
                self.assertEqual(
                    Allow(self.worker.ask(f"ACQUIRE {name}")).service, name)
                self.assertEqual(self.worker.service(name)["name"], name)

    def test_bad_ones_are_refused_by_every_command(self):
        lines = ["ACQUIRE {}", "REPORT {} 0 - success", "RETRY {} 1 failure",
                 "STATUS {}", "CONFIG {}"]
        for name in self.bad:
            for line in lines:
                with self.subTest(line=line, name=name):
                    self.assert_error(self.worker.ask(line.format(name)),
                                      "bad_service")
        orders = ["TRIP {} -", "BYPASS {} -", "OBSERVE {} -", "FORGET {}",
                  "SET {} ramp 1s", "UNSET {} ramp"]
        for name in self.bad:
            for line in orders:
                with self.subTest(line=line, name=name):
                    self.assert_error(self.operator.ask(line.format(name)),
                                      "bad_service")
        for line in ("RESET a,b", "AUTO a,b", "HISTORY a,b 5"):
            self.assert_error(self.operator.ask(line), "bad_service")

    def test_are_compared_by_case(self):
        name = self.name()
        self.trip(name)
        self.assertRegex(self.worker.ask(f"ACQUIRE {name}"), "^DENY ")
        self.assertRegex(self.worker.ask(f"ACQUIRE {name.upper()}"), "^ALLOW ")


class BigFrames(harness.SharedDaemonCase):
    def test_over_8_kib_close_the_connection_and_no_other(self):
        other = self.shared.worker()
        other.ask("PING")
        monitor = other.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        bad = self.shared.worker()
        bad.ask("PING")
        watch = bad.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        bad.send(["x", "", b"P" * 8193])
        self.assertTrue(watch.poll(harness.PATIENCE_S * 1000),
                        "the connection stays")
        self.assertRegex(other.ask("PING"), "^PONG ")
        self.assertFalse(monitor.poll(0), "another connection was closed")
        other.socket.disable_monitor()
        bad.socket.disable_monitor()


if __name__ == "__main__":
    harness.main()
