# SPDX-License-Identifier: Apache-2.0
"""Which service a URL belongs to, and the answer that stands for a denied call."""
from __future__ import annotations

import json
import math
import re
from typing import Dict, List, Mapping, Optional, Tuple

from .errors import BreakerError

_KNOWN = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gemini",
    "api.mistral.ai": "mistral",
    "discord.com": "discord",
    "discordapp.com": "discord",
}
_NAME_MAX = 63


class Hosts:
    """Hosts that are not named are services of their own name; with a port, where the
    URL has one that is not its scheme's."""

    def __init__(self, named: Optional[Mapping[str, str]] = None) -> None:
        self._named: Dict[str, str] = {**_KNOWN, **(named or {})}

    def service(self, host: Optional[str], port: Optional[int] = None) -> str:
        host = (host or "unknown").lower().rstrip(".")
        whole = f"{host}:{port}" if port else host
        named = self._named.get(whole) or self._named.get(host)
        if named is not None:
            return named
        return re.sub(r"[^a-z0-9._:/@-]", "_", whole)[:_NAME_MAX] or "unknown"


def denial(error: BaseException, kind: str) -> Tuple[int, List[Tuple[str, str]], bytes]:
    """A 503 that SDKs understand: it is final, and says when to come back."""
    body: Dict[str, object] = {"type": kind, "code": kind, "message": str(error)}
    headers = [("content-type", "application/json"), ("x-should-retry", "false")]
    if isinstance(error, BreakerError):
        body.update(service=error.service, reason=error.reason)
        if error.retry_after is not None:
            body["retry_after"] = error.retry_after
            headers += [("retry-after", str(math.ceil(error.retry_after))),
                        ("retry-after-ms", str(math.ceil(error.retry_after * 1000)))]
    return 503, headers, json.dumps({"type": "error", "error": body}).encode()
