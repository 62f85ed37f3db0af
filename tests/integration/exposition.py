# SPDX-License-Identifier: Apache-2.0
"""Prometheus' text format as a scraper reads it, and what a dashboard asks of it."""
import re

SAMPLE = re.compile(r'^([a-z_0-9]+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


class Scrape:
    def __init__(self, text):
        self.text = text
        self.types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
        self.samples = {}
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            match = SAMPLE.match(line)
            assert match, f"no sample: {line!r}"
            labels = frozenset(LABEL.findall(match[2] or ""))
            key = (match[1], labels)
            assert key not in self.samples, f"twice: {line!r}"
            self.samples[key] = float(match[3])

    def value(self, name, /, **labels):
        return self.samples[name, frozenset(labels.items())]

    def sum(self, name, /, **labels):
        """Over all other labels."""
        found = [v for (n, have), v in self.samples.items()
                 if n == name and frozenset(labels.items()) <= have]
        assert found, f"no {name} with {labels}"
        return sum(found)

    def names(self):
        return {name for name, _ in self.samples}


def expressions(node):
    """Every PromQL expression of a dashboard."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("expr", "query", "definition") and isinstance(value, str):
                yield value
            else:
                yield from expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from expressions(value)
