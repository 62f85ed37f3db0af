# SPDX-License-Identifier: Apache-2.0
"""Ways to call a service, by name."""
from __future__ import annotations

from typing import NamedTuple


class Preset(NamedTuple):
    """What is 0 here is as the fleet has it configured."""

    name: str
    #: enum breaker_preset: what libbreaker's attempts go by.
    number: int = 0
    #: The first item or octet is the verdict: a stream may take as long as it likes.
    streams: bool = False


STANDARD = Preset("standard")
STREAMING = Preset("streaming", number=1, streams=True)
FAST = Preset("fast", number=2)
