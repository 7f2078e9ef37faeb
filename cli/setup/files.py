"""`tejido setup files`: secrets, keys and certificates of a deployment in containers, each where it is read."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.output import Format, FormatOption, emit
from deployment.keys import Keys
from deployment.platform import RENEWED, Owners, Platform
from deployment.volumes import give_volumes, read_notify_url, read_readers, write_airflow_files
from security.artifact_keys import ArtifactKeys
from security.artifact_rotation import ArtifactRotation
from security.errors import RotationUnfinished

KeysOption = Annotated[Path, typer.Option(help="Folder of all secrets; no service sees it.")]
SharesOption = Annotated[Path, typer.Option(help="Folder with one folder a service.")]


class Rotation(StrEnum):
    """A step of the rotation of the keys of models and checkpoints; `tejido keys rotate` has the one in between."""

    BEGIN = "begin"
    RETIRE = "retire"


OwnerOption = Annotated[int, typer.Option(help="User id that the platform's services run as.")]


def files(
    keys: KeysOption = Path("/keys"),
    shares: SharesOption = Path("/shares"),
    volumes: Annotated[Path, typer.Option(help="Folder with one folder a service's data.")] = Path("/volumes"),
    secrets: Annotated[Path, typer.Option(help="Folder of what the operator gives to Airflow.")] = Path("/secrets"),
    owner: OwnerOption = 10001,
    airflow_owner: Annotated[int, typer.Option(envvar="AIRFLOW_UID", help="User id that Airflow runs as.")] = 50000,
    rotate: Annotated[
        Rotation | None,
        typer.Option(
            "--rotate-artifacts",
            help="Models and checkpoints: add keys that wrap and sign, or forget all but the newest.",
        ),
    ] = None,
    how: FormatOption = Format.TEXT,
) -> None:
    """Make what is missing; what exists stays. Run it as root: it gives each file to the one user that may read it."""
    owners = Owners(owner, airflow_owner)
    store, has_begun_before = Keys(keys), False
    with store.locked():
        if rotate is Rotation.BEGIN:
            has_begun_before = not ArtifactRotation(ArtifactKeys.open(store.artifacts)).begin()
        elif rotate is Rotation.RETIRE:
            renewed = volumes / "clients" / RENEWED
            word = renewed.read_bytes() if renewed.exists() else b""
            ArtifactRotation(ArtifactKeys.open(store.artifacts)).retire(word)
        platform = Platform(store, notify_url=read_notify_url(secrets), readers=read_readers(secrets))
        platform.write(shares, owners)
        platform.write_connection(volumes / "flwr")
    give_volumes(volumes, owners)
    write_airflow_files(secrets, airflow_owner)
    if has_begun_before:
        # Only now: where it broke off before, the services did not have the new key yet.
        raise RotationUnfinished(
            "A rotation has begun before and is not over, so no key was added; every service has those of then.",
            hint="Go on with `keys rotate --artifacts --rewrap`, then `--rotate-artifacts retire`; then begin another.",
        )
    names = sorted(path.name for path in shares.iterdir())
    emit({"shares": names}, how, lambda result: f"Secrets are ready for {', '.join(result['shares'])}.")
