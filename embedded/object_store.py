"""S3 servers by ``nanio``: one for the platform, one for each client, each with keys of its own.

nanio has no policies, so what keeps one client's data from another is that they are different servers. Each has one
more user, who may read single pictures: the API signs their URLs with its keys; see s3_app.py.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from pydantic import SecretStr

from catalog.published import PICTURES
from core.settings import Bucket, ClientBucket
from embedded.ports import LOOPBACK, Port
from embedded.process import Command
from embedded.service import ServiceDefaults, answers
from embedded.state import StateFolder

PLATFORM = "platform"
PLATFORM_PICTURES = "data"
"""The bucket of products; of a client's, a reader may read what it has published."""


def owner_secrets(owner: str) -> tuple[str, str]:
    """Names of the secrets that open all of a server: key id, and secret key."""
    return f"s3-{owner}-access-key", f"s3-{owner}-secret-key"


def reader_secrets(owner: str) -> tuple[str, str]:
    """Names of those of its reader. The word stands before the owner: behind it, it may be part of a client's name."""
    return f"s3-reader-{owner}-access-key", f"s3-reader-{owner}-secret-key"


@dataclass(frozen=True, kw_only=True)
class ObjectStore(ServiceDefaults):
    """One S3 server; ``owner`` is "platform" or ``client-<name>``."""

    state: StateFolder
    port: Port
    owner: str = PLATFORM

    @property
    def name(self) -> str:
        """With its owner: there are several."""
        return "S3" if self.owner == PLATFORM else f"S3 of {self.owner}"

    @property
    def slug(self) -> str:
        """With its owner."""
        return f"s3-{self.owner}"

    @property
    def url(self) -> str:
        """The S3 endpoint."""
        return f"http://{LOOPBACK}:{self.port.number}"

    def bucket(self, name: str) -> Bucket:
        """One bucket of this server, with the keys that open it."""
        return Bucket(endpoint=self.url, access_key=self.access_key, secret_key=SecretStr(self.secret_key), bucket=name)

    @property
    def reader(self) -> Bucket:
        """The bucket that holds pictures, with the keys of the user who may read them and nothing else."""
        access, secret = reader_secrets(self.owner)
        return Bucket(
            endpoint=self.url,
            access_key=self.state.secret(access),
            secret_key=SecretStr(self.state.secret(secret)),
            bucket=PLATFORM_PICTURES if self.owner == PLATFORM else self.owner,
        )

    def client_bucket(self, client: str) -> ClientBucket:
        """The only bucket of a client's server."""
        return ClientBucket(name=client, **dict(self.bucket(self.owner)))

    def command(self) -> Command:
        """The server in the foreground, keys in its environment."""
        reader = self.reader
        prefix = f"/{PLATFORM_PICTURES}/" if self.owner == PLATFORM else f"/{self.owner}/{PICTURES}"
        environment = {
            "NANIO_ACCESS_KEY": self.access_key,
            "NANIO_SECRET_KEY": self.secret_key,
            "NANIO_READER_ACCESS_KEY": reader.access_key,
            "NANIO_READER_SECRET_KEY": reader.secret_key.get_secret_value(),
            "NANIO_READER_PREFIX": prefix,
            "NANIO_DATA_DIR": str(self.state.folder("s3", self.owner)),
        }
        where = ("--host", LOOPBACK, "--port", str(self.port.number))
        quiet = ("--log-level", "warning", "--no-access-log")
        app = ("-m", "uvicorn", "embedded.s3_app:create_app", "--factory")
        return Command((sys.executable, *app, *where, *quiet), environment, cwd=self.state.root)

    def is_ready(self) -> bool:
        """Whether it answers at all; without a signature it refuses, which is an answer."""
        return answers(self.url)

    @property
    def access_key(self) -> str:
        """Key id of the owner."""
        return self.state.secret(owner_secrets(self.owner)[0])

    @property
    def secret_key(self) -> str:
        """Secret key of the owner."""
        return self.state.secret(owner_secrets(self.owner)[1])
