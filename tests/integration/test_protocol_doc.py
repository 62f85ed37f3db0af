# SPDX-License-Identifier: Apache-2.0
"""docs/protocol.md against the daemon: its words are the code's words, its
examples work, its documents have the members that are really sent."""
import json
import os
import re

import harness

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as f:
        return f.read()


DOC = read("docs", "protocol.md")


def words_of(rule):
    """The literal words of an ABNF rule."""
    match = re.search(rf"^{rule}\s*=(.*(?:\n\s+/.*)*)", DOC, re.M)
    return set(re.findall(r'%s"([^"]+)"', match[1]))


def words_in_code(prefix):
    """Words of a table of core/vocab.c: rows [BK_PREFIX_...] = "word"."""
    return set(re.findall(rf'\[{prefix}\w*\] = "([a-z_]+)"',
                          read("core", "vocab.c")))


def members(text):
    """Names of a JSON example's members, nested ones with a dot."""
    def walk(value, path, out):
        if isinstance(value, dict):
            for key, inner in value.items():
                out.add(path + key)
                walk(inner, path + key + ".", out)
        elif isinstance(value, list) and value:
            walk(value[0], path, out)
        return out
    return walk(json.loads(text), "", set())


def example(section):
    return re.search(rf"### {section} .*?```json\n(.*?)```", DOC, re.S)[1]


class Words(harness.Case):
    def test_commands(self):
        rows = set(re.findall(r'\[BK_CMD_\w+\] = \{"([A-Z]+)"',
                              read("core", "wire.c")))
        section = DOC[DOC.index("## 4. Commands"):DOC.index("## 5. Meaning")]
        told = set(re.findall(r'%s"([A-Z]+)"', section))
        told -= {"ALLOW", "DENY", "GRANT", "PONG", "OK", "ERR"}
        self.assertEqual(told, rows)

    def test_vocabulary(self):
        for rule, prefix, extra in (
                ("outcome", "BK_(?!DENY|CAUSE|ERR|FROM)", None),
                ("code", "BK_ERR_", set()),
                ("reason", "BK_DENY_", {"none"})):
            code = words_in_code(prefix)
            self.assertTrue(code, f"no table {prefix} in core/vocab.c")
            if extra is None:
                self.assertLessEqual(words_of(rule), code)
            else:
                self.assertEqual(words_of(rule), code - extra)

    def test_causes(self):
        row = re.search(r"\| `reason` \| of the last change: (.*?) \|", DOC)[1]
        self.assertEqual(set(re.findall(r"`(\w+)`", row)),
                         words_in_code("BK_CAUSE_"))


class Examples(harness.Case):
    def test_lines_of_the_dialogues_are_understood(self):
        daemon = self.daemon().start()
        operator = daemon.operator()
        section = DOC[DOC.index("## 9. Dialogues"):DOC.index("A whole client")]
        lines = re.findall(r"> (?:\[\w+\] )?([A-Z]+ ?.*)", section)
        self.assertGreater(len(lines), 12)
        for line in (part for text in lines for part in text.split(" | ")):
            if line.startswith(("REPORTQ", "TALLYQ")):
                continue
            answer = operator.ask(line)
            if "no,such,name" in line:
                self.assertIn(answer.split(" ")[1], section)
            else:
                self.assertNotRegex(answer, "^ERR ", line)

    def test_client_in_python_works(self):
        daemon = self.daemon().start()
        program = re.search(r"```python\n(.*?)```", DOC, re.S)[1]
        exec(program.replace("/run/breakerd", daemon.dir), {})
        counters = daemon.worker().service("gpt-4")["counters"]
        self.assertEqual((counters["allowed"], counters["success"]), (1, 1))


class Documents(harness.Case):
    def test_have_the_members_that_are_sent(self):
        daemon = self.daemon().start()
        operator = daemon.operator()
        operator.ask("REPORT gpt-4 0 - failure 812000 1 0 503")
        self.assertEqual(members(operator.ask("STATUS gpt-4")[3:]),
                         members(example("6.1")))
        config = members(operator.ask("CONFIG gpt-4")[3:])
        self.assertLessEqual(members(example("6.2")), config)
        hello = members(operator.ask("HELLO 1 me 1")[3:])
        self.assertLessEqual(members(example("6.4")), hello)

    def test_of_operators_commands(self):
        daemon = self.daemon().start()
        operator = daemon.operator()
        table = DOC[DOC.index("### 6.3"):DOC.index("### 6.4")]
        lines = {"RESET": "RESET s", "TRIP": "TRIP s -", "BYPASS": "BYPASS s -",
                 "OBSERVE": "OBSERVE s -", "AUTO": "AUTO s",
                 "SET": "SET s ramp 1s", "UNSET": "UNSET s ramp",
                 "RELOAD": "RELOAD", "FORGET": "FORGET s",
                 "RESET *": "RESET *", "AUTO *": "AUTO *",
                 "BACKUP": f"BACKUP new {daemon.home}/copy.db"}
        operator.ask("TRIP s -")
        for row in re.findall(r"^\| (`.*?) \| (.*?) \|$", table, re.M):
            document = re.search(r"`\{(.*?)\}`", row[1])[1]
            told = re.findall(r'"(\w+)"', re.sub(r"\[.*?\]", "", document))
            for command in re.findall(r"`([A-Z]+(?: \*)?)", row[0]):
                if command not in lines:
                    continue
                sent = operator.document(lines[command])
                self.assertEqual(sorted(sent), sorted(told), command)


if __name__ == "__main__":
    harness.main()
