#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Counts what a ctest report (--output-junit) came to, for tools/check.

Prints "passed failed skipped", then a line for each thing that was skipped.
A test that did not run for want of its program is a failure. A part that a test
skipped inside itself (unittest, cmocka) is counted as skipped, too: the test as
a whole may well have passed."""
import re
import sys
import xml.etree.ElementTree as tree

# What the last lines of a unittest run, a cmocka program and breaker-scenario
# say.
PARTS = (re.compile(r"^(?:OK|FAILED) \(.*\bskipped=(\d+)", re.M),
         re.compile(r"^\[ +SKIPPED +\] (\d+) test\(s\)", re.M))


def count(path):
    passed = failed = skipped = 0
    notes = []
    for case in tree.parse(path).getroot().iter("testcase"):
        name, status = case.get("name"), case.get("status")
        said = "".join(e.text or "" for e in case.iter("system-out"))
        reason = " ".join(e.get("message") or "" for e in case.iter("skipped"))
        if status == "run":
            passed += 1
        elif status == "disabled" or "SKIP_" in reason:
            skipped += 1
            notes.append(f"{name}: {reason or status}")
        else:
            failed += 1
        parts = sum(int(n) for form in PARTS for n in form.findall(said))
        if parts:
            skipped += parts
            notes.append(f"{name}: {parts} of its parts")
    return passed, failed, skipped, notes


def main():
    try:
        passed, failed, skipped, notes = count(sys.argv[1])
    except (IndexError, OSError, tree.ParseError) as error:
        sys.exit(f"check_count: {error}")
    print(passed, failed, skipped)
    for note in notes:
        print(note)


if __name__ == "__main__":
    main()
