# SPDX-License-Identifier: Apache-2.0
"""requests: an adapter to mount."""
from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Any, Dict, Optional
from urllib.parse import SplitResult, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from . import _native as n
from ._hosts import denial
from ._service import Service
from .errors import CircuitOpen

if TYPE_CHECKING:
    from ._breaker import Breaker

_PORTS = {"http": 80, "https": 443}


def _denied(error: CircuitOpen, request: Any) -> requests.Response:
    status, headers, body = denial(error, "circuit_open")
    response = requests.Response()
    response.status_code = status
    response.reason = "Service Unavailable"
    response.headers = CaseInsensitiveDict(headers)
    response.raw = io.BytesIO(body)
    response.url = request.url
    response.request = request
    return response


class _Adapter(HTTPAdapter):
    def __init__(self, breaker: "Breaker", name: Optional[str], **options: Any) -> None:
        super().__init__(**options)
        self._breaker, self._name = breaker, name

    def _service_of(self, url: SplitResult) -> Service:
        port = None if url.port == _PORTS.get(url.scheme) else url.port
        return self._breaker.service_of(url.hostname, port)

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        service = self._breaker.service(self._name) if self._name is not None \
            else self._service_of(urlsplit(request.url))
        try:
            permit = service.take()
        except CircuitOpen as e:
            return _denied(e, request)
        began_ns = time.perf_counter_ns()
        try:
            response = super().send(request, *args, **kwargs)
            if response.status_code >= 400:
                response.content  # the verdict may be in the body
        except BaseException as e:
            service.failed(permit, e, began_ns)
            raise
        if permit is None:
            return response
        if response.status_code < 400:
            service.settle(permit, n.SUCCESS, began_ns)
        else:
            service.told(permit, service.judge.http(
                response.status_code, response.headers, response.content), began_ns)
        return response


def adapter(breaker: "Breaker", name: Optional[str], options: Dict[str, Any]) -> HTTPAdapter:
    return _Adapter(breaker, name, **options)
