"""The list of clients that the operator's ETL reads."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from pydantic import SecretStr

from core.settings import ClientBucket
from deployment.enrolment import add_to_list


def bucket(name: str, secret: str = "s") -> ClientBucket:
    return ClientBucket(
        name=name, endpoint="http://gate:9000", access_key="a", secret_key=SecretStr(secret), bucket=f"client-{name}"
    )


def test_clients_stand_in_the_order_of_names_once_each(tmp_path: Path) -> None:
    path = tmp_path / "clients.json"
    for name in ("cobre", "aurora", "cobre"):
        add_to_list(path, bucket(name))
    assert [entry["name"] for entry in json.loads(path.read_text())] == ["aurora", "cobre"]


def test_enrolling_again_replaces_the_keys_of_that_client_only(tmp_path: Path) -> None:
    path = tmp_path / "clients.json"
    add_to_list(path, bucket("aurora", "old"))
    add_to_list(path, bucket("boreal", "kept"))
    add_to_list(path, bucket("aurora", "new"))
    assert [entry["secret_key"] for entry in json.loads(path.read_text())] == ["new", "kept"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
