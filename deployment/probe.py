"""A container's health check: `python -m deployment.probe URL [CA.pem | COMPONENT]`; the exit status tells.

``http(s)://…`` must answer with success, ``tcp://…`` must take a connection. COMPONENT names a part of Airflow that its
API server must report as healthy. Imports nothing of ours: it runs every few seconds in every container.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
import urllib.request
from urllib.parse import urlsplit

WITHIN_S = 8.0


def is_healthy(url: str, detail: str = "") -> bool:
    """Whether the service answers as it should."""
    parts = urlsplit(url)
    if parts.scheme == "tcp":
        with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout=WITHIN_S):
            return True
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if detail.endswith(".pem"):
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=detail)))
    with urllib.request.build_opener(*handlers).open(url, timeout=WITHIN_S) as answer:
        if not detail or detail.endswith(".pem"):
            return True
        report = json.load(answer).get(detail) or {}
    return bool(report.get("status") == "healthy")


if __name__ == "__main__":
    try:
        sys.exit(0 if is_healthy(*sys.argv[1:]) else 1)
    except (OSError, ValueError) as error:
        sys.exit(f"{sys.argv[1]}: {error}")
