# SPDX-License-Identifier: Apache-2.0
"""Checks docs/semantics.md against the scenarios: each file it names exists, and
each scenario is named by it.

usage: check_semantics.py SEMANTICS.MD SCENARIO_DIRECTORY"""
import os
import re
import sys


def main(document, directory):
    with open(document, encoding="utf-8") as text:
        named = set(re.findall(r"`([0-9]{2}-[a-z0-9-]+)`", text.read()))
    there = {name[:-4] for name in os.listdir(directory)
             if name.endswith(".brk")}
    faults = [f"{document} names {name}, which is not there"
              for name in sorted(named - there)]
    faults += [f"{document} does not name {name}"
               for name in sorted(there - named)]
    for name in sorted(there):
        with open(os.path.join(directory, name + ".brk"),
                  encoding="utf-8") as file:
            if not file.readline().startswith("# "):
                faults.append(f"{name}.brk does not begin with its title")
    for fault in faults:
        print(fault)
    print(f"{len(there)} scenarios, {len(faults)} faults")
    return 1 if faults or not there else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
