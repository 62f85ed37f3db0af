# SPDX-License-Identifier: Apache-2.0
"""What is raised when a call may not be made."""
from __future__ import annotations

from typing import Optional


class BreakerError(Exception):
    """A call was not made, or not made again, because the fleet says so."""

    def __init__(self, service: str, retry_after: Optional[float] = None,
                 reason: str = "unknown", generation: int = 0) -> None:
        self.service = service
        #: Seconds after which it may be worth while; None: not known.
        self.retry_after = retry_after
        #: "open", "half_open", "rate_limited", ... (docs/protocol.md).
        self.reason = reason
        #: Of the circuit; 0: not known.
        self.generation = generation
        super().__init__(service, retry_after, reason, generation)

    def _wait(self) -> str:
        if self.retry_after is None:
            return ""
        return f", try again in {self.retry_after:.1f} s"

    def __str__(self) -> str:
        return f"{self.service} may not be called now: {self.reason}{self._wait()}"


class CircuitOpen(BreakerError):
    """The service may not be called now."""


class RetryBudgetExhausted(BreakerError):
    """The attempt failed, and the fleet's retries are used up. The attempt's own
    error is the cause."""

    def __str__(self) -> str:
        return f"{self.service} failed and may not be retried: {self.reason}{self._wait()}"
