# SPDX-License-Identifier: Apache-2.0
"""Configuration: defaults, precedence, environment, reload, errors."""
import os
import re
import signal

import harness
from brk import Allow, Deny

# Every key with its default; durations in milliseconds.
DEFAULTS = {
    "failure_threshold": 5, "failure_rate": 0, "window": 60000,
    "minimum_calls": 20, "slow_call_duration": 0, "slow_call_rate": 0,
    "recovery_timeout": 60000, "recovery_multiplier": 1,
    "max_recovery_timeout": 600000, "recovery_jitter": 0,
    "success_threshold": 2, "half_open_max_calls": 1, "permit_ttl": 120000,
    "max_permit_ttl": 3600000, "ramp": 0, "max_concurrent": 0,
    "on_critical": "count", "on_rate_limit": "hold", "max_hold": 600000,
    "count": "attempt", "retry_ratio": 0.2, "retry_min_per_sec": 1,
    "retry_ttl": 10000, "retries": "on",
    "retry_on": "failure,timeout,rate_limited", "max_attempts": 3,
    "base_delay": 1000, "max_delay": 60000, "multiplier": 2, "jitter": "full",
    "rate_limit_max_attempts": 10, "rate_limit_base_delay": 10000,
    "rate_limit_max_delay": 120000, "max_elapsed": 300000,
    "attempt_timeout": 30000, "mode": "auto", "requires": "", "probe_url": "",
    "probe_interval": 5000, "probe_timeout": 3000,
}
UNITS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60000, "h": 3600000}

# A value of each key that is not its default, as a person may write it, and as
# it reads back.
OTHERS = {
    "failure_threshold": ("7", 7), "failure_rate": ("50%", 0.5),
    "window": ("100calls", "100calls"), "minimum_calls": ("9", 9),
    "slow_call_duration": ("250ms", 250), "slow_call_rate": ("0.25", 0.25),
    "recovery_timeout": ("5s", 5000), "recovery_multiplier": ("1.5", 1.5),
    "max_recovery_timeout": ("2m", 120000), "recovery_jitter": ("10%", 0.1),
    "success_threshold": ("1", 1), "half_open_max_calls": ("3", 3),
    "permit_ttl": ("90s", 90000), "max_permit_ttl": ("2h", 7200000),
    "ramp": ("30s", 30000), "max_concurrent": ("8", 8),
    "on_critical": ("trip", "trip"), "on_rate_limit": ("ignore", "ignore"),
    "max_hold": ("1m", 60000), "count": ("call", "call"),
    "retry_ratio": ("0.1", 0.1), "retry_min_per_sec": ("2", 2),
    "retry_ttl": ("20s", 20000), "retries": ("off", "off"),
    "retry_on": ("timeout", "timeout"), "max_attempts": ("4", 4),
    "base_delay": ("100ms", 100), "max_delay": ("9s", 9000),
    "multiplier": ("3", 3), "jitter": ("equal", "equal"),
    "rate_limit_max_attempts": ("5", 5),
    "rate_limit_base_delay": ("4s", 4000),
    "rate_limit_max_delay": ("44s", 44000), "max_elapsed": ("10m", 600000),
    "attempt_timeout": ("11s", 11000), "mode": ("observe", "observe"),
    "requires": ("other", "other"),
    "probe_url": ("http://127.0.0.1:9/health", "http://127.0.0.1:9/health"),
    "probe_interval": ("6s", 6000), "probe_timeout": ("1s", 1000),
}


def read_value(text):
    """A value as CONFIG prints it: milliseconds, a number, or a word."""
    duration = re.fullmatch(r"([\d.]+)(us|ms|s|m|h)", text)
    if duration:
        return float(duration[1]) * UNITS[duration[2]]
    if re.fullmatch(r"[\d.]+%", text):
        return float(text[:-1]) / 100
    if re.fullmatch(r"[\d.]+", text):
        return float(text)
    return text.replace(", ", ",")


def values(document):
    return {key: read_value(entry["value"])
            for key, entry in document["config"].items()}


class Defaults(harness.Case):
    def test_every_key_is_there_and_built_in(self):
        daemon = self.daemon().start()
        document = daemon.worker().document("CONFIG")
        self.assertEqual(values(document), DEFAULTS)
        self.assertEqual({e["origin"] for e in document["config"].values()},
                         {"built-in"})

    def test_every_key_can_be_written_in_a_file_and_set(self):
        lines = "".join(f"{k} = {v[0]}\n" for k, v in OTHERS.items())
        daemon = self.daemon(config="[service filed]\n" + lines).start()
        operator = daemon.operator()
        for key, (text, _) in OTHERS.items():
            answer = operator.document(f"SET told {key} {text}")
            self.assertEqual((answer["key"], answer["origin"]), (key, "set"))
        for name, origin in (("filed", "service"), ("told", "set")):
            document = operator.document(f"CONFIG {name}")
            self.assertEqual(values(document),
                             {k: v[1] for k, v in OTHERS.items()})
            self.assertEqual({e["origin"] for e in document["config"].values()},
                             {origin})
        for key in OTHERS:
            operator.document(f"UNSET told {key}")
        self.assertEqual(values(operator.document("CONFIG told")), DEFAULTS)


class Precedence(harness.Case):
    def origin(self, daemon, service, key):
        entry = daemon.operator().document(f"CONFIG {service}")["config"][key]
        return read_value(entry["value"]), entry["origin"]

    def test_built_in_defaults_environment_service_set(self):
        config = ("[defaults]\nfailure_threshold = 11\nmax_attempts = 11\n"
                  "base_delay = 11s\n[service s]\nfailure_threshold = 13\n"
                  "max_attempts = 13\n")
        daemon = self.daemon(config=config, env={
            "CIRCUIT_BREAKER_THRESHOLD": "12", "RETRY_MAX_ATTEMPTS": "12",
        }).start()
        operator = daemon.operator()
        operator.document("SET s failure_threshold 14")
        operator.ask("ACQUIRE other")
        for service, key, expected in (
                ("s", "failure_threshold", (14, "set")),
                ("s", "max_attempts", (13, "service")),
                ("other", "failure_threshold", (12, "environment")),
                ("s", "base_delay", (11000, "defaults")),
                ("s", "max_delay", (60000, "built-in"))):
            self.assertEqual(self.origin(daemon, service, key), expected, key)

    def test_set_survives_a_restart(self):
        daemon = self.daemon().start()
        daemon.operator().document("SET s base_delay 7s")
        self.assertEqual(daemon.stop(), 0)
        daemon.start()
        self.assertEqual(self.origin(daemon, "s", "base_delay"), (7000, "set"))
        daemon.kill()
        os.unlink(daemon.segment_path)
        daemon.start()
        self.assertEqual(self.origin(daemon, "s", "base_delay"), (7000, "set"))


class Environment(harness.Case):
    def test_every_name(self):
        daemon = self.daemon(env={
            "CIRCUIT_BREAKER_THRESHOLD": "3",
            "CIRCUIT_BREAKER_TIMEOUT": "2.5",
            "CIRCUIT_BREAKER_SUCCESS_THRESHOLD": "4",
            "LLM_RETRY_ATTEMPTS": "6", "LLM_RETRY_MIN_WAIT": "0.25",
            "LLM_RETRY_MAX_WAIT": "8", "LLM_RETRY_MULTIPLIER": "1.5",
        }).start()
        config = daemon.worker().document("CONFIG")
        got = values(config)
        expected = {"failure_threshold": 3, "recovery_timeout": 2500,
                    "success_threshold": 4, "max_attempts": 6,
                    "base_delay": 250, "max_delay": 8000, "multiplier": 1.5}
        self.assertEqual({k: got[k] for k in expected}, expected)
        self.assertEqual({k for k, e in config["config"].items()
                          if e["origin"] == "environment"}, set(expected))

    def test_first_of_two_names_wins(self):
        daemon = self.daemon(env={
            "RETRY_MAX_ATTEMPTS": "2", "LLM_RETRY_ATTEMPTS": "6",
            "RETRY_BASE_DELAY": "0.1", "LLM_RETRY_MIN_WAIT": "3",
            "RETRY_MAX_DELAY": "30", "LLM_RETRY_MAX_WAIT": "90"}).start()
        got = values(daemon.worker().document("CONFIG"))
        self.assertEqual((got["max_attempts"], got["base_delay"],
                          got["max_delay"]), (2, 100, 30000))

    def test_it_is_in_force(self):
        daemon = self.daemon(env={"CIRCUIT_BREAKER_THRESHOLD": "2"}).start()
        worker = daemon.worker()
        for _ in range(2):
            worker.ask("REPORT s 0 - failure")
        self.assertEqual(worker.service("s")["state"], "open")

    def test_bad_value_names_the_variable(self):
        status, text = self.daemon(env={"RETRY_BASE_DELAY": "soon"}).run()
        self.assertEqual(status, 2)
        self.assertIn("RETRY_BASE_DELAY", text)


BAD_FILES = [
    # text, line, words that the sentence has
    ("[defaults]\nfailure_treshold = 3\n", 2, ["failure_treshold",
                                               "failure_threshold"]),
    ("[service s]\n\n# note\nrampp = 3s\n", 4, ["rampp", "ramp"]),
    ("[defaults]\nrecovery_timeout = soon\n", 2, ["recovery_timeout"]),
    ("[defaults]\nfailure_rate = 150%\n", 2, ["failure_rate"]),
    ("[defaults]\nwindow = 1001calls\n", 2, ["window"]),
    ("[defaults]\nsuccess_threshold = 0\n", 2, ["success_threshold"]),
    ("[defaults]\nmode = forced_open\n", 2, ["mode"]),
    ("[defaults]\npermit_ttl\n", 2, []),
    ("permit_ttl = 3s\n", 1, []),
    ("[servce s]\n", 1, ["servce", "service"]),
    ("[service]\n", 1, []),
    ("[service a,b]\n", 1, ["a,b"]),
    ("[service s\nramp = 1s\n", 1, []),
    ("[daemon]\nmax_services = 0\n", 2, ["max_services"]),
    ("[daemon]\nmax_service = 10\n", 2, ["max_service", "max_services"]),
    ("[daemon]\nlisten = tcp://127.0.0.1:7000\n", 2, ["listen"]),
    ("[route r]\nservices = a, b\n[service r]\n", 1, ["r", "service"]),
    ("[route r]\nservices = \n", 2, []),
    ("[route r]\nmembers = a\n", 2, ["members", "services"]),
]


class Errors(harness.Case):
    def test_have_file_and_line_and_say_what_would_be_right(self):
        for text, line, words in BAD_FILES:
            with self.subTest(text=text):
                daemon = self.daemon(config=text)
                for extra in ((), ("--check-config",), ("-n",)):
                    status, said = daemon.run(*extra)
                    self.assertEqual(status, 2, said)
                    self.assertIn(f"{daemon.conf}:{line}:", said)
                    self.assertEqual(said.count("\n"), 1, said)
                    for word in words:
                        self.assertIn(word, said)
                self.assertFalse(os.path.exists(daemon.worker_path))

    def test_missing_file(self):
        daemon = self.daemon()
        status, said = daemon.run("-c", "/no/such/file")
        self.assertEqual(status, 2)
        self.assertIn("/no/such/file", said)

    def test_good_file_checks_out(self):
        daemon = self.daemon(config="; a comment\n[defaults]\nramp=5s\n"
                             "[service s]\nfailure_rate = 0.5\n"
                             "[route r]\nservices = s, t\n"
                             "[daemon]\nmax_services = 64\n")
        self.assertEqual(daemon.run("--check-config")[0], 0)
        self.assertEqual(daemon.run("-n")[0], 0)
        self.assertFalse(os.path.exists(daemon.worker_path))
        self.assertFalse(os.path.exists(daemon.db))

    def test_checking_does_not_disturb_a_running_daemon(self):
        daemon = self.daemon(config="[defaults]\nramp = 5s\n").start()
        self.assertEqual(daemon.run("-n")[0], 0)
        self.assertRegex(daemon.worker().ask("PING"), "^PONG ")


class Reload(harness.Case):
    def test_by_command_and_by_signal(self):
        daemon = self.daemon(
            config="[service s]\nfailure_threshold = 2\n").start()
        operator = daemon.operator()
        daemon.configure("[service s]\nfailure_threshold = 3\n"
                         "[service t]\nramp = 1s\n[route r]\nservices = s, t\n")
        self.assertIn("services", operator.document("RELOAD"))
        self.assertEqual(values(operator.document("CONFIG s"))
                         ["failure_threshold"], 3)
        self.assertEqual(Allow(operator.ask("ACQUIRE r")).service, "s")
        daemon.configure("[service s]\nfailure_threshold = 4\n")
        daemon.process.send_signal(signal.SIGHUP)
        harness.until(
            lambda: values(operator.document("CONFIG s"))
            ["failure_threshold"] == 4, "the reload")
        self.assertEqual(Allow(operator.ask("ACQUIRE r")).service, "r")

    def test_bad_file_changes_nothing(self):
        daemon = self.daemon(
            config="[service s]\nfailure_threshold = 2\n").start()
        operator = daemon.operator()
        daemon.configure("[service s]\nfailure_threshold = 3\nfoo = 1\n")
        self.assertRegex(operator.ask("RELOAD"),
                         f"^ERR bad_request .*{daemon.conf}:3:.*foo")
        daemon.process.send_signal(signal.SIGHUP)
        harness.until(lambda: f"{daemon.conf}:3:" in daemon.log(),
                      "the line in the log")
        self.assertEqual(values(operator.document("CONFIG s"))
                         ["failure_threshold"], 2)

    def test_running_open_time_keeps_its_own_value(self):
        daemon = self.daemon(
            config="[service s]\nrecovery_timeout = 50s\n").start()
        operator = daemon.operator()
        for _ in range(5):
            operator.ask("REPORT s 0 - failure")
        daemon.configure("[service s]\nrecovery_timeout = 1ms\n")
        operator.document("RELOAD")
        deny = Deny(operator.ask("ACQUIRE s"))
        self.assertEqual(deny.reason, "open")
        self.assertGreater(deny.retry_after_ms, 40000)


class MaxServices(harness.Case):
    def test_table_full(self):
        daemon = self.daemon(config="[daemon]\nmax_services = 8\n"
                             "[service kept]\nramp = 1s\n").start()
        worker = daemon.worker()
        answers = [worker.ask(f"ACQUIRE s{i}") for i in range(20)]
        full = [a for a in answers if a.startswith("ERR table_full ")]
        self.assertIn(len(full), (12, 13))
        self.assertEqual(answers[-1][:14], "ERR table_full")
        self.assertEqual(worker.ask("ACQUIRE s0"), "ALLOW s0 0 0 closed")
        self.assert_error(daemon.operator().ask("TRIP s99 -"), "table_full")
        daemon.operator().document("FORGET s0")
        self.assertEqual(worker.ask("ACQUIRE s99"), "ALLOW s99 0 0 closed")


if __name__ == "__main__":
    harness.main()
