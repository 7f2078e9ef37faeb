"""A Docker engine, and the images: on a machine that reaches no image registry, base images are made first."""

from __future__ import annotations

import configparser
import io
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[3]
BASES = Path(__file__).with_name("bases") / "make.sh"
PACKAGES = ("docker.io", "docker-compose", "debootstrap", "iptables")
PIP_OPTIONS = ("index-url", "cert", "timeout", "trusted-host")
ENGINE_S = 60.0
WHEELS_PORT = 18098
"""Always the same: it stands in the stand-in of Python's image, which is made once."""
STAND_INS = ("postgres", "valkey", "minio", "nginx", "prometheus")
PYTHON = "python:3.11-slim-bookworm"
NO_CONTAINERS = 3
"""Exit status of this module where the machine can run none; whatever else ends it is a defect."""
PLATFORM, AIRFLOW = "tejido/platform:0.1.0", "tejido/airflow:0.1.0"


def run(*command: str, **more: str) -> str:
    """Run a program to its end; its output, or an error that shows it."""
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **more}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
    return done.stdout


@contextmanager
def engine() -> Iterator[None]:
    """An engine that answers: the one that runs, or one that ends with the block."""
    if shutil.which("dockerd") is None or shutil.which("docker-compose") is None:
        run(str(ROOT / "scripts" / "apt.sh"), *PACKAGES)
    if _answers():
        yield
        return
    with tempfile.TemporaryFile() as log, subprocess.Popen(["dockerd"], stdout=log, stderr=log) as daemon:
        try:
            until = time.monotonic() + ENGINE_S
            while not _answers():
                if daemon.poll() is not None or time.monotonic() > until:
                    log.seek(0)
                    raise RuntimeError(f"dockerd does not answer:\n{log.read()[-3000:].decode()}")
                time.sleep(0.5)
            yield
        finally:
            daemon.terminate()


def build_images() -> None:
    """Base images (those that are missing), then ours."""
    with _pip_configuration() as configuration:
        run(str(BASES), str(configuration), *STAND_INS)
        # Packages come from wherever this machine finds them, so PyTorch's own index is left out.
        build = ("docker", "build", "--network=host", "--quiet")
        run(*build, "--build-arg", "TORCH_INDEX=", "-t", PLATFORM, "-f", "docker/platform/Dockerfile", ".")
        run(*build, "--build-arg", f"PLATFORM_IMAGE={PLATFORM}", "-t", AIRFLOW, "-f", "docker/airflow/Dockerfile", ".")


def try_engine() -> None:
    """Start an engine, make the one image that all others rest on, and run a container of it.

    Raises:
        RuntimeError: this machine cannot: mostly for want of rights, in a container of somebody else's.
    """
    with engine(), _pip_configuration() as configuration:
        run(str(BASES), str(configuration))
        run("docker", "run", "--rm", "--cap-drop=ALL", "--read-only", PYTHON, "python3", "--version")


def _answers() -> bool:
    return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0


@contextmanager
def _pip_configuration() -> Iterator[Path]:
    """How this machine's pip finds packages, for builds; folders of wheels are served to them on loopback."""
    lines = (line.partition("=") for line in run("python3", "-m", "pip", "config", "list").splitlines())
    values = {name.rpartition(".")[2]: value.strip("'\"") for name, _, value in lines}
    options: dict[str, str] = {name: values[name] for name in PIP_OPTIONS if name in values}
    folders = [Path(urlsplit(word).path) for word in values.get("find-links", "").split()]
    servers = [_serve(folder, WHEELS_PORT + i) for i, folder in enumerate(folders) if folder.is_dir()]
    if servers:
        options["find-links"] = " ".join(f"http://127.0.0.1:{server.server_port}/" for server in servers)
    parser = configparser.RawConfigParser()
    parser.read_dict({"global": options})
    text = io.StringIO()
    parser.write(text)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pip.conf"
        path.write_text(text.getvalue())
        try:
            yield path
        finally:
            for server in servers:
                server.shutdown()
                server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


def _serve(folder: Path, port: int) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


if __name__ == "__main__":
    try:
        try_engine()
    except RuntimeError as error:
        print(f"No container runs on this machine: {error}", file=sys.stderr)
        sys.exit(NO_CONTAINERS)
