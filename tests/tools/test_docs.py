# SPDX-License-Identifier: Apache-2.0
"""The documents and the files they speak of agree: README's program is the example,
links lead somewhere, every alert has its page, llms.txt has every document. What they
tell people to type is in test_commands.py."""
import os
import re
import unittest

ROOT = os.environ["BREAKERD_SOURCE"]
# What is not ours, or made.
LEFT_OUT = ("build", ".git", "node_modules")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as text:
        return text.read()


def documents():
    found = []
    for folder, below, files in os.walk(ROOT):
        below[:] = [name for name in below if name not in LEFT_OUT]
        found += [os.path.relpath(os.path.join(folder, name), ROOT)
                  for name in files if name.endswith(".md")]
    return found


def links(document):
    """Files of this tree that it leads to, from the root."""
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", read(document)):
        if "://" not in link:
            yield os.path.normpath(
                os.path.join(os.path.dirname(document), link))


class Documents(unittest.TestCase):
    def test_the_c_program_of_readme_is_the_example(self):
        shown = re.findall(r"^```c\n(.*?)^```", read("README.md"), re.S | re.M)
        self.assertEqual(shown, [read("examples/worker.c")])

    def test_links_lead_somewhere(self):
        self.assertIn("README.md", documents())
        broken = [f"{document}: {link}"
                  for document in [*documents(), "llms.txt"]
                  for link in links(document)
                  if not os.path.exists(os.path.join(ROOT, link))]
        self.assertEqual(broken, [])

    def test_llms_txt_has_every_document(self):
        wanted = {name for name in documents()
                  if os.path.dirname(name) in ("", "docs")}
        self.assertGreater(len(wanted), 10)
        self.assertEqual(wanted - set(links("llms.txt")), set())

    def test_every_alert_has_its_page(self):
        alerts = re.findall(r"^\s*- alert: (\w+)$",
                            read("deploy/prometheus/rules.yml"), re.M)
        pages = re.findall(r"^## (\w+)$", read("docs/runbook.md"), re.M)
        self.assertGreater(len(alerts), 3)
        self.assertEqual(sorted(alerts), sorted(pages))

    def test_files_that_hacking_names_are_there(self):
        named = re.findall(r"`((?:core|daemon|client|tools|tests|docs|include)"
                           r"/[\w./-]+)`", read("HACKING.md"))
        self.assertGreater(len(named), 10)
        missing = [name for name in named
                   if "NN" not in name and "NAME" not in name
                   and not os.path.exists(os.path.join(ROOT, name))]
        self.assertEqual(missing, [])


if __name__ == "__main__":
    unittest.main()
