# SPDX-License-Identifier: Apache-2.0
"""The rules for Prometheus: sound, tested by promtool, each with its heading in the
runbook."""
import os
import re
import shutil
import subprocess
import unittest

ROOT = os.environ["BREAKERD_SOURCE"]
RULES = os.path.join(ROOT, "deploy", "prometheus")
PATIENCE_S = 60


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as text:
        return text.read()


class Rules(unittest.TestCase):
    @unittest.skipUnless(shutil.which("promtool"), "promtool is not installed")
    def test_promtool(self):
        for words in (["check", "rules", "rules.yml"],
                      ["test", "rules", "rules_test.yml"]):
            done = subprocess.run(
                ["promtool", *words], cwd=RULES, capture_output=True, text=True,
                timeout=PATIENCE_S, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_alert_is_tested_and_has_its_page(self):
        rules = read("deploy", "prometheus", "rules.yml")
        tests = read("deploy", "prometheus", "rules_test.yml")
        alerts = re.findall(r"- alert: (\w+)", rules)
        self.assertGreater(len(alerts), 5)
        self.assertEqual(len(set(alerts)), len(alerts))
        self.assertEqual(
            re.findall(r"runbook_url: docs/runbook.md#(\w+)", rules),
            [alert.lower() for alert in alerts])
        headings = re.findall(r"^## (\w+)$", read("docs", "runbook.md"), re.M)
        self.assertEqual(set(headings), set(alerts))
        for alert in alerts:
            # Once before its time, and once at it.
            told = re.findall(rf"alertname: {alert}\b", tests)
            self.assertGreaterEqual(len(told), 2, alert)


if __name__ == "__main__":
    unittest.main()
