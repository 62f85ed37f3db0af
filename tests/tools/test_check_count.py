# SPDX-License-Identifier: Apache-2.0
"""tools/check counts every test once, and what is missing as a failure."""
import os
import subprocess
import tempfile
import unittest

PROGRAM = os.path.join(os.environ["BREAKERD_SOURCE"], "tools", "check_count.py")


def case(name, status, inside=""):
    return f'<testcase name="{name}" status="{status}">{inside}</testcase>'


class Count(unittest.TestCase):
    def count(self, *cases):
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as report:
            report.write("<testsuite>" + "".join(cases) + "</testsuite>")
            report.flush()
            return self.run_on(report.name)

    def run_on(self, *words):
        return subprocess.run(["/usr/bin/python3", "-B", PROGRAM, *words],
                              capture_output=True, text=True, timeout=20)

    def test_each_once(self):
        done = self.count(case("a", "run"), case("b", "run"),
                          case("c", "fail", '<failure message=""/>'))
        self.assertEqual(done.stdout, "2 1 0\n")

    def test_a_missing_program_is_a_failure(self):
        done = self.count(case("a", "notrun", '<skipped message='
                               '"Unable to find executable"/>'))
        self.assertEqual(done.stdout, "0 1 0\n")

    def test_skipped_is_skipped(self):
        done = self.count(
            case("a", "notrun", '<skipped message="SKIP_RETURN_CODE=77"/>'),
            case("b", "disabled"))
        self.assertEqual(done.stdout.splitlines(),
                         ["0 0 2", "a: SKIP_RETURN_CODE=77", "b: disabled"])

    def test_parts_of_a_test_that_were_skipped(self):
        done = self.count(
            case("a", "run", "<system-out>x\nOK (skipped=3)\n</system-out>"),
            case("b", "fail", "<system-out>\nFAILED (failures=1, skipped=2)"
                              "\n</system-out>"),
            case("c", "run", "<system-out>[  SKIPPED ] 1 test(s), listed "
                             "below:\n</system-out>"))
        self.assertEqual(done.stdout.splitlines()[0], "2 1 6")

    def test_no_report(self):
        for words in ([], ["/nonexistent"], ["/dev/null"]):
            done = self.run_on(*words)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stdout, "")
            self.assertEqual(done.stderr.count("\n"), 1)


if __name__ == "__main__":
    unittest.main()
