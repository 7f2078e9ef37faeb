"""The list of clients that the operator's ETL reads; and that only a node whose key is accepted comes into it."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from catalog.objects import S3ObjectStore
from core.settings import ClientBucket, Settings
from deployment import enrolment, removing
from deployment.errors import ClientUnknown
from security.node_keys import node_key, public_pem
from server.client_list import bucket_of, leave_out, put
from server.errors import NodeKeyRefused, RunFailed, SuperLinkUnreachable
from server.flower import UNREGISTERED, Flower, NamedNode


def bucket(name: str, secret: str = "s") -> ClientBucket:
    return ClientBucket(
        name=name, endpoint="http://gate:9000", access_key="a", secret_key=SecretStr(secret), bucket=f"client-{name}"
    )


def test_clients_stand_in_the_order_of_names_once_each(tmp_path: Path) -> None:
    path = tmp_path / "clients.json"
    for name in ("cobre", "aurora", "cobre"):
        put(path, bucket(name))
    assert [entry["name"] for entry in json.loads(path.read_text())] == ["aurora", "cobre"]


def test_enrolling_again_replaces_the_keys_of_that_client_only(tmp_path: Path) -> None:
    path = tmp_path / "clients.json"
    put(path, bucket("aurora", "old"))
    put(path, bucket("boreal", "kept"))
    put(path, bucket("aurora", "new"))
    assert [entry["secret_key"] for entry in json.loads(path.read_text())] == ["new", "kept"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_client_is_left_out_with_the_reader_of_its_pictures_and_nothing_is_written_in_vain(tmp_path: Path) -> None:
    path = tmp_path / "clients.json"
    for name in ("aurora", "boreal"):
        put(path, bucket(name))
    found = bucket_of(path, "boreal")
    assert found is not None
    assert (found.bucket, found.secret_key.get_secret_value()) == ("client-boreal", "s")
    before = path.stat().st_mtime_ns
    leave_out(path, "duna")
    assert path.stat().st_mtime_ns == before
    leave_out(path, "boreal")
    assert bucket_of(path, "boreal") is None
    assert [entry["name"] for entry in json.loads(path.read_text())] == ["aurora"]
    readers = tmp_path / "readers.json"
    readers.write_text(json.dumps([{"bucket": "data"}, {"bucket": "client-boreal"}]))
    leave_out(readers, "boreal")
    assert json.loads(readers.read_text()) == [{"bucket": "data"}]


def test_of_clients_that_come_and_go_at_once_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "clients.json"
    for number in range(20):
        put(path, bucket(f"old-{number}"))
    with ThreadPoolExecutor(8) as threads:
        done = [threads.submit(leave_out, path, f"old-{number}") for number in range(20)]
        done += [threads.submit(put, path, bucket(f"new-{number}")) for number in range(20)]
    for each in done:
        each.result()
    assert [entry["name"] for entry in json.loads(path.read_text())] == sorted(f"new-{number}" for number in range(20))


@dataclass(frozen=True)
class KnowingFlower(Flower):
    """A SuperLink that knows these nodes, and takes no key a second time."""

    nodes_known: tuple[NamedNode, ...] = ()
    said: str = "Public key already in use."

    def _json(self, *arguments: str) -> dict[str, Any]:
        raise RunFailed(self.said)

    def named_nodes(self) -> list[NamedNode]:
        return list(self.nodes_known)


@pytest.mark.parametrize(
    ("name", "status", "is_taken"),
    [
        ("duna", "online", True),
        ("duna", "registered", True),
        ("duna", UNREGISTERED, False),
        ("aurora", "online", False),
    ],
)
def test_a_key_that_the_superlink_knows_counts_only_if_it_is_this_client_s_and_holds(
    tmp_path: Path, name: str, status: str, is_taken: bool
) -> None:
    key = node_key(tmp_path, "duna")
    other = node_key(tmp_path, "other")
    nodes = (
        NamedNode("1", "duna", "online", public_pem(other.public_text)),
        NamedNode("2", name, status, public_pem(key.public_text)),
    )
    flower = KnowingFlower(tmp_path, "x", nodes_known=nodes)
    if is_taken:
        flower.register(key.public, "duna")
    else:
        with pytest.raises(NodeKeyRefused, match="node key of duna"):
            flower.register(key.public, "duna")
    with pytest.raises(RunFailed, match="no such"):
        KnowingFlower(tmp_path, "x", nodes_known=nodes, said="no such key").register(key.public, "duna")


def test_a_client_whose_key_is_never_accepted_comes_into_no_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = node_key(tmp_path, "duna")
    mine = bucket("duna")
    (tmp_path / "node.pub").write_text(key.public_text)
    (tmp_path / "bucket.json").write_text(json.dumps({**mine.model_dump(), "secret_key": "s"}))
    refusing = KnowingFlower(
        tmp_path, "x", nodes_known=(NamedNode("1", "duna", UNREGISTERED, public_pem(key.public_text)),)
    )
    monkeypatch.setattr(Flower, "of", lambda _: refusing)
    monkeypatch.setattr(S3ObjectStore, "ensure_bucket", lambda _: None)
    clients = tmp_path / "clients.json"
    with pytest.raises(NodeKeyRefused):
        enrolment.enrol(Settings(_env_file=None, clients_file=clients), tmp_path, "duna")
    assert not clients.exists()


def test_nobody_of_that_name_is_removed_from_no_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clients = tmp_path / "clients.json"
    settings = Settings(_env_file=None, clients_file=clients)
    monkeypatch.setattr(Flower, "of", lambda _: KnowingFlower(tmp_path, "x"))
    with pytest.raises(ClientUnknown, match="duna"):
        removing.remove_from_platform(settings, "duna")
    put(clients, bucket("aurora"))
    with pytest.raises(ClientUnknown, match="duna"):
        removing.remove_from_platform(settings, "duna")

    def reached(settings: Settings, name: str) -> None:
        raise SuperLinkUnreachable(f"{name} is known")

    # One that is listed, and one whose node was unregistered by a removal that broke off, are removed.
    monkeypatch.setattr(removing, "forget_client", reached)
    with pytest.raises(SuperLinkUnreachable, match="aurora"):
        removing.remove_from_platform(settings, "aurora")
    gone = (NamedNode("1", "duna", UNREGISTERED, ""),)
    monkeypatch.setattr(Flower, "of", lambda _: KnowingFlower(tmp_path, "x", nodes_known=gone))
    with pytest.raises(SuperLinkUnreachable, match="duna"):
        removing.remove_from_platform(settings, "duna")
