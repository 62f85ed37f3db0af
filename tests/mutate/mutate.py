#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Breaks the rules of rules.py one by one in a copy of the source and plays the
scenario that tells the rule: it must fail. Also an error: source that is not
found exactly once, a broken rule that does not compile, and a scenario that
fails with all rules whole.

usage: mutate.py [--source DIR] [--scratch DIR] [--only N]"""
import argparse
import os
import shutil
import subprocess
import sys
import time

from rules import RULES

WANTED = 33
PARTS = ("CMakeLists.txt", "cmake", "core", "daemon", "client", "deploy",
         "include", "tools")
BUILD_S = 600
PLAY_S = 60


def copy_source(source, scratch):
    """A fresh copy beside a build directory that is kept: with new times, so that
    nothing built from a broken rule is taken for this source."""
    copy = os.path.join(scratch, "source")
    shutil.rmtree(copy, ignore_errors=True)
    os.makedirs(copy)
    for part in PARTS:
        at = os.path.join(source, part)
        if os.path.isdir(at):
            shutil.copytree(at, os.path.join(copy, part),
                            copy_function=shutil.copyfile)
        else:
            shutil.copyfile(at, os.path.join(copy, part))
    return copy


def run(command, timeout_s, cwd=None):
    return subprocess.run(command, cwd=cwd, timeout=timeout_s, text=True,
                          check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)


class Tree:
    def __init__(self, source, scratch):
        self.source = source
        self.copy = copy_source(source, scratch)
        self.build_dir = os.path.join(scratch, "build")
        self.program = os.path.join(self.build_dir, "tools", "breaker-scenario")

    def configure(self):
        return run(["cmake", "-S", self.copy, "-B", self.build_dir, "-G",
                    "Ninja", "-DCMAKE_BUILD_TYPE=Debug", "-DBREAKERD_TESTS=OFF",
                    "-DBREAKERD_SANITIZE="], BUILD_S)

    def build(self):
        return run(["cmake", "--build", self.build_dir, "--target",
                    "breaker-scenario"], BUILD_S)

    def play(self, *scenarios):
        return run([self.program, "--core"] +
                   [os.path.join(self.source, "tests", "scenarios",
                                 name + ".brk") for name in scenarios], PLAY_S)

    def path(self, file):
        return os.path.join(self.copy, "core", file)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(path, text):
    """The build goes by times of change, which have to differ."""
    before = os.stat(path).st_mtime_ns
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    if os.stat(path).st_mtime_ns <= before:
        os.utime(path, ns=(before + 10**7, before + 10**7))


def tail(done):
    return "\n".join(done.stdout.splitlines()[-15:])


def try_rule(tree, rule):
    """None when the scenario notices, else what is wrong."""
    file, source, instead, scenario = rule
    path = tree.path(file)
    whole = read(path)
    found = whole.count(source)
    if found != 1:
        return f"the source is found {found} times in core/{file}"
    write(path, whole.replace(source, instead))
    try:
        built = tree.build()
        if built.returncode != 0:
            return "the broken rule does not compile:\n" + tail(built)
        try:
            played = tree.play(scenario)
        except subprocess.TimeoutExpired:
            return None
        if played.returncode == 0:
            return f"{scenario} does not notice"
        return None
    finally:
        write(path, whole)


def check_whole(tree):
    for done in (tree.configure(), tree.build()):
        if done.returncode != 0:
            return "the source does not build:\n" + tail(done)
    played = tree.play(*sorted({rule[3] for rule in RULES}))
    if played.returncode != 0:
        return "with all rules whole a scenario fails:\n" + tail(played)
    return None


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--source", default=os.path.dirname(os.path.dirname(here)))
    parser.add_argument("--scratch", default="/tmp/breakerd-mutate")
    parser.add_argument("--only", type=int, help="one rule, by its number")
    options = parser.parse_args()
    os.makedirs(options.scratch, exist_ok=True)
    if len(RULES) < WANTED:
        print(f"{len(RULES)} rules are too few, {WANTED} are wanted")
        return 1
    tree = Tree(os.path.abspath(options.source), os.path.abspath(options.scratch))
    fault = check_whole(tree)
    if fault is not None:
        print(fault)
        return 1
    failed = 0
    began = time.monotonic()
    for number, rule in enumerate(RULES, 1):
        if options.only not in (None, number):
            continue
        fault = try_rule(tree, rule)
        failed += fault is not None
        print(f"{number:2} core/{rule[0]} {rule[3]}: {fault or 'noticed'}",
              flush=True)
    print(f"{len(RULES)} rules, {failed} faults, "
          f"{time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
