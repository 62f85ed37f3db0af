# SPDX-License-Identifier: Apache-2.0
"""breakerctl config check and config diff."""
import os

from ctl_case import (DONE, UNMET, UNREACHABLE, USAGE, CtlCase, run)
from harness import main

BASE = """[defaults]
failure_threshold = 7

[service gpt-4]
recovery_timeout = 30s

[route chat]
services = gpt-4, claude
"""


class Check(CtlCase):
    def setUp(self):
        self.host = self.daemon()

    def check(self, text, code, *args):
        self.host.configure(text)
        return self.assert_exit(run("config", "check", self.host.conf, *args),
                                code)

    def test_a_good_file_needs_no_daemon(self):
        result = self.assert_quiet(self.check(BASE, DONE))
        self.assertEqual(result.out,
                         f"{self.host.conf} is good: 1 service, 1 route\n")
        document = self.check("", DONE, "--json").json()
        self.assertEqual((document["good"], document["services"]), (True, 0))

    def test_sentences_are_those_of_breakerd(self):
        for text in ("failure_threshold = 3\n", "[servce a]\n",
                     "[defaults]\nfailure_treshold = 3\n",
                     "[defaults]\nwindow = soon\n",
                     "[service a]\nrequires = a\n",
                     "[service a]\n[service a]\n",
                     "[route r]\nservices = a, a\n", "[route r]\n",
                     "[daemon]\nmax_services = 100001\n",
                     "[service *]\n", "[service a\n", "x\ty\n",
                     BASE + "[service chat]\n", "# " + "x" * 5000,
                     "[service a]\nrequires = chat\n" + BASE,
                     "[daemon]\nmax_services = 1\n[service a]\n[service b]\n",
                     "#" * (1 << 20) + "\n"):
            result = self.check(text, USAGE)
            self.assertEqual(result.out, "")
            self.assertTrue(result.err.startswith("breakerctl: "))
            sentence = result.err[len("breakerctl: "):]
            self.assertIn(self.host.conf, sentence)
            code, said = self.host.run("-n")
            self.assertEqual(code, USAGE)
            self.assertEqual(said, "breakerd: " + sentence)
            document = self.check(text, USAGE, "--json").json()
            self.assertEqual((document["good"], document["error"] + "\n"),
                             (False, sentence))

    def test_what_cannot_be_read(self):
        fifo = os.path.join(self.host.home, "fifo")
        os.mkfifo(fifo)
        for path, why in ((self.host.home, "is not a regular file"),
                          (fifo, "is not a regular file"),
                          ("/nonexistent/conf", "cannot open")):
            result = self.assert_exit(run("config", "check", path), USAGE)
            self.assertIn(why, result.err)

    def test_one_operand_is_a_service(self):
        daemon = self.daemon(config="[service check]\nramp = 3s\n").start()
        rows = self.assert_exit(run("--dir", daemon.dir, "config", "check",
                                    "--json"), DONE).json()
        self.assertEqual((rows["service"], rows["config"]["ramp"]),
                         ("check", {"value": "3s", "origin": "service"}))
        self.assert_exit(run("config", "compare", "a"), USAGE)


class Diff(CtlCase):
    def setUp(self):
        self.host = self.daemon(config=BASE,
                                env={"CIRCUIT_BREAKER_TIMEOUT": "45"})
        self.host.start()
        self.path = os.path.join(self.host.home, "new.conf")

    def diff(self, text, code, *args):
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(text)
        return self.assert_exit(
            run("--dir", self.host.dir, "config", "diff", self.path, *args),
            code)

    def rows(self, text):
        document = self.diff(text, UNMET, "--json").json()
        self.assertIs(document["same"], False)
        return {(r["section"], r["name"], r["key"]):
                (r["now"], r["now_origin"], r["then"], r["then_origin"])
                for r in document["differences"]}

    def test_the_same_is_the_same(self):
        result = self.diff("# another look\n" + BASE, DONE)
        self.assertEqual(result.out, "")
        self.assertIn("says what is in force", result.err)
        self.assertIs(self.diff(BASE, DONE, "--json").json()["same"], True)

    def test_each_layer(self):
        operator = self.host.operator()
        operator.document("SET gpt-4 max_attempts 9")
        self.host.worker().ask("REPORT used 0 - failure")
        rows = self.rows(
            "[defaults]\nfailure_threshold = 8\nrecovery_timeout = 1s\n"
            "ramp = 2s\n[service gpt-4]\nmax_attempts = 2\nramp = 4s\n"
            "[service fresh]\nfailure_threshold = 2\n"
            "[route chat]\nservices = gpt-4\n[route other]\nservices = used\n"
            "[daemon]\nmax_services = 100\n")
        self.assertEqual(rows, {
            ("defaults", None, "failure_threshold"):
                ("7", "defaults", "8", "defaults"),
            ("defaults", None, "ramp"): ("0", "built-in", "2s", "defaults"),
            # The environment stays above the defaults, below the section.
            ("service", "gpt-4", "recovery_timeout"):
                ("30s", "service", "45s", "environment"),
            ("service", "gpt-4", "ramp"): ("0", "built-in", "4s", "service"),
            ("service", "fresh", "failure_threshold"):
                ("7", "defaults", "2", "service"),
            ("route", "chat", "services"):
                ("gpt-4, claude", None, "gpt-4", None),
            ("route", "other", "services"): ("", None, "used", None),
            ("daemon", None, "max_services"):
                ("4096", None, "100", "next start"),
        })

    def test_it_says_what_a_reload_then_does(self):
        text = ("[defaults]\nsuccess_threshold = 4\n[service gpt-4]\n"
                "on_rate_limit = count\n[service claude]\nramp = 1s\n")
        rows = self.rows(text)
        self.host.configure(text)
        operator = self.host.operator()
        operator.document("RELOAD")
        for (section, name, key), (_, _, then, origin) in rows.items():
            if section not in ("defaults", "service"):
                continue
            config = operator.document(
                f"CONFIG {name}" if name else "CONFIG")["config"]
            self.assertEqual(config[key], {"value": then, "origin": origin})
        self.diff(text, DONE)

    def test_table_and_trouble(self):
        out = self.diff(BASE.replace("30s", "31s"), UNMET).out
        self.assertRegex(out, r"service gpt-4 +recovery_timeout +30s +service "
                              r"+31s +service\n")
        self.assertIn(f"{self.path}:1:", self.diff("[x]\n", USAGE).err)
        self.host.stop()
        self.diff(BASE, UNREACHABLE)


if __name__ == "__main__":
    main()
