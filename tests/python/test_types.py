# SPDX-License-Identifier: Apache-2.0
"""What the package promises to type checkers (py.typed) is so."""
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_types_hold():
    mypy = pytest.importorskip("mypy.api")
    out, err, status = mypy.run([
        "--config-file", str(ROOT / "client/python/pyproject.toml"), "--cache-dir=/dev/null",
        str(ROOT / "client/python/breaker")])
    assert status == 0, out + err
