# SPDX-License-Identifier: Apache-2.0
"""breakerd for Python: circuit breakers and a retry budget that all processes of a
machine share.

    from breaker import Breaker

    br = Breaker()
    openai = br.service("openai")

    @openai.guard(fallback=lambda e: "busy, try later")
    async def ask(question): ...

Needs libbreaker; without it, or without a daemon, calls go on and one warning says
so. docs/python.md has the rest."""
from ._breaker import Breaker
from ._service import Call, Service
from ._attempts import Attempt, Attempts
from .errors import BreakerError, CircuitOpen, RetryBudgetExhausted
from .presets import FAST, STANDARD, STREAMING, Preset

__all__ = ["Breaker", "Service", "Call", "Attempt", "Attempts", "BreakerError",
           "CircuitOpen", "RetryBudgetExhausted", "Preset", "STANDARD",
           "STREAMING", "FAST"]
__version__ = "0.1.0"
