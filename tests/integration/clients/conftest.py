"""One running stack of two clients, without what rounds would need: clients come, go, and refuse bundles on it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.layout import Parts
from embedded.stack import Stack

CLIENTS = ("aurora", "boreal")
NAMESPACE = f"tejido-{os.getpid()}"
SUBNET = f"10.213.{os.getpid() % 250}"
GATE, VISITOR = f"{SUBNET}.1", f"{SUBNET}.2"
LINK = f"tj{os.getpid()}"[:12]


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=20)


@contextlib.contextmanager
def network() -> Iterator[str]:
    """The gate's address on a link to a network of its own; "" where none can be made."""
    if os.geteuid() or not shutil.which("ip"):
        yield ""
        return
    try:
        ip("netns", "add", NAMESPACE)
        ip("link", "add", f"{LINK}a", "type", "veth", "peer", "name", f"{LINK}b", "netns", NAMESPACE)
        ip("addr", "add", f"{GATE}/30", "dev", f"{LINK}a")
        ip("link", "set", f"{LINK}a", "up")
        ip("-n", NAMESPACE, "addr", "add", f"{VISITOR}/30", "dev", f"{LINK}b")
        ip("-n", NAMESPACE, "link", "set", f"{LINK}b", "up")
        ip("-n", NAMESPACE, "link", "set", "lo", "up")
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"no network namespace: {error}", file=sys.stderr)
        yield ""
        return
    try:
        yield GATE
    finally:
        # The link goes with the namespace that its other end is in.
        ip("netns", "del", NAMESPACE)


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    """PostgreSQL, Valkey, S3, the SuperLink, two clients, and a gate where a network can be made for it."""
    with (
        network() as gate,
        tempfile.TemporaryDirectory(prefix="tejido-test-") as folder,
        Stack(
            Path(folder),
            CLIENTS,
            parts=Parts(airflow=False, mlflow=False, api=False, gate=gate),
            tell=lambda event: print(event.text, file=sys.stderr),
        ) as stack,
    ):
        yield stack
