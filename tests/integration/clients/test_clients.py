"""Clients of a running stack: added, rekeyed, removed; the two that were there before are never touched."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catalog.audit_log import AuditLog
from catalog.errors import CatalogError, ClientRemoved
from catalog.index import IndexStore
from catalog.leaving import Leaving
from catalog.objects import S3ObjectStore
from catalog.publications import Publications
from catalog.published import Offer
from catalog.store import CatalogueStore
from core.settings import Bucket, ClientBucket
from embedded.clients import Clients
from embedded.enrolment import Enrolments
from embedded.errors import ClientNotEnrolled, RemovalUnfinished
from embedded.removing import remove_client
from embedded.stack import Stack
from security.passwords import hash_password
from server.enrolments import limits, removed
from server.flower import UNREGISTERED, Flower, NamedNode
from tests.integration.clients.conftest import CLIENTS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
DUNA = "duna"


def nodes(stack: Stack) -> list[NamedNode]:
    return Flower.of(stack.settings()).named_nodes()


def status(stack: Stack, name: str) -> list[str]:
    return [node.status for node in nodes(stack) if node.name == name]


def bucket_of(stack: Stack, name: str) -> ClientBucket:
    entries = json.loads(Path(stack.settings().required("clients_file")).read_text())
    return ClientBucket(**next(entry for entry in entries if entry["name"] == name))


def untouched(stack: Stack) -> dict[str, Any]:
    """Every byte that belongs to the first two clients, their processes, and their nodes."""
    root = stack.state.root
    files = [
        path
        for path in root.rglob("*")
        if path.is_file() and path.suffix != ".log" and any(name in str(path.relative_to(root)) for name in CLIENTS)
    ]
    mine = [entry for entry in json.loads((stack.state.run / "clients.json").read_text()) if entry["name"] in CLIENTS]
    slugs = [f"{kind}-{name}" for kind in ("s3-client", "supernode", "clientapps") for name in CLIENTS]
    return {
        "files": {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        "buckets": mine,
        "processes": {slug: stack.pids[slug] for slug in slugs},
        "nodes": [node for node in nodes(stack) if node.name in CLIENTS],
    }


@pytest.fixture(scope="module")
def clients(stack: Stack) -> Clients:
    return Clients(stack.state)


@pytest.fixture(scope="module")
def before(stack: Stack) -> dict[str, Any]:
    found = untouched(stack)
    assert len(found["files"]) > 10
    assert [node.status for node in found["nodes"]] == ["online"] * len(CLIENTS)
    return found


@pytest.fixture(scope="module")
def added(stack: Stack, clients: Clients, before: dict[str, Any]) -> Path:
    done = clients.add(DUNA, limit=50, is_elsewhere=False, out=None)
    assert done.is_running
    return done.folder


def test_a_client_that_is_added_is_online_with_a_bucket_and_a_whole_folder(stack: Stack, added: Path) -> None:
    assert status(stack, DUNA) == ["online"]
    assert stack.clients == (*CLIENTS, DUNA)
    S3ObjectStore(bucket_of(stack, DUNA)).put("partitions/one", b"mine")
    assert limits(S3ObjectStore(stack.settings().platform_bucket("data"))) == {DUNA: 50}
    assert stat.S_IMODE(added.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in added.iterdir()} == dict.fromkeys(
        ("README.md", "ca.pem", "client.env", "node.key", "policy.toml", "superexec"), 0o600
    )
    assert bucket_of(stack, DUNA).secret_key.get_secret_value() in (added / "client.env").read_text()


def test_its_keys_open_its_own_bucket_only(stack: Stack, added: Path) -> None:
    mine, other = bucket_of(stack, DUNA), bucket_of(stack, "aurora")
    thief = Bucket(**{**dict(other), "access_key": mine.access_key, "secret_key": mine.secret_key})
    with pytest.raises(CatalogError):
        list(S3ObjectStore(thief).list(""))


def test_adding_it_again_changes_nothing(stack: Stack, clients: Clients, added: Path) -> None:
    pids, files = stack.pids, {path: path.stat().st_mtime_ns for path in added.iterdir()}
    assert clients.add(DUNA, limit=50, is_elsewhere=False, out=None).written == ()
    assert clients.add(DUNA, is_elsewhere=False, out=None).written == (), "what is not said stays"
    assert limits(S3ObjectStore(stack.settings().platform_bucket("data"))) == {DUNA: 50}
    assert (stack.pids, {path: path.stat().st_mtime_ns for path in added.iterdir()}) == (pids, files)


def test_new_keys_take_the_place_of_the_old_ones_which_are_refused(
    stack: Stack, clients: Clients, added: Path, before: dict[str, Any]
) -> None:
    old, key = bucket_of(stack, DUNA), (added / "node.key").read_text()
    clients.rotate(DUNA, out=None)
    new = bucket_of(stack, DUNA)
    assert (added / "node.key").read_text() != key
    assert S3ObjectStore(new).get("partitions/one") == b"mine"
    assert old.endpoint == new.endpoint
    with pytest.raises(CatalogError):
        S3ObjectStore(old).get("partitions/one")
    assert status(stack, DUNA) == [UNREGISTERED, "online"]
    assert untouched(stack) == before


def an_offer(reference: int) -> Offer:
    told = dict.fromkeys(("gender", "master_category", "sub_category", "article_type", "base_colour", "season"))
    return Offer(
        reference=reference,
        suffix="png",
        **told,
        usage=None,
        year=None,
        product_display_name=f"Product {reference}",
        image_sha256=hashlib.sha256(str(reference).encode()).hexdigest(),
    )


def some_products(stack: Stack) -> None:
    """Of Duna, and one of Aurora; a curator of each."""
    dsn = stack.settings().required("postgres_dsn")

    vectors = np.eye(8, dtype=np.float32)
    with IndexStore(dsn) as index, Publications(dsn) as publications, CatalogueStore(dsn) as store:
        version = index.begin("m", "1", "v1", 8)
        index.finish(version)
        publications.put_page(DUNA, version, [an_offer(1), an_offer(2)], vectors[:2])
        publications.put_page("aurora", version, [an_offer(3)], vectors[2:3])
        for name in (DUNA, "aurora"):
            store.put_user(f"curator-{name}", hash_password("a long password"), ["curator"], client=name)
    S3ObjectStore(stack.settings().platform_bucket("data")).put(f"own/{DUNA}/picture.png", b"picture")
    checkpoints = S3ObjectStore(stack.settings().platform_bucket("checkpoints"))
    for name in (DUNA, f"{DUNA}-2"):
        checkpoints.put(f"wave-that-died/pages/{name}/0000.f16", b"vectors")


def test_a_client_that_is_removed_is_gone_and_each_line_says_where_that_was_seen(
    stack: Stack, added: Path, before: dict[str, Any]
) -> None:
    some_products(stack)
    left = remove_client(stack.state, DUNA)
    found = {(line.what, line.where): line for line in left.evidence}
    assert left.is_proved, [line for line in left.evidence if not line.is_gone]
    assert found["rows", "fashion_files"].found == "0 of 2"
    assert [line.found for (what, _), line in found.items() if what == "vectors"] == ["0 of 2"]
    assert found["node keys", "the SuperLink's list of nodes"].found == "0 of 2 that were registered"
    assert found["curators", "users"].found == "none"
    assert found["services", "the running stack"].found == "none"
    data = S3ObjectStore(stack.settings().platform_bucket("data"))
    assert removed(data) == {DUNA}
    pages = S3ObjectStore(stack.settings().platform_bucket("checkpoints")).list("wave-that-died/")
    assert list(pages) == [f"wave-that-died/pages/{DUNA}-2/0000.f16"]
    with pytest.raises(ClientRemoved), Publications(stack.settings().required("postgres_dsn")) as waves:
        waves.put_page(DUNA, 1, [an_offer(9)], np.eye(8, dtype=np.float32)[:1])
    assert {line.what for line in left.evidence if line.is_kept} == {"contents of its bucket"}
    assert not added.exists()
    assert stack.clients == CLIENTS
    assert status(stack, DUNA) == [UNREGISTERED, UNREGISTERED]
    dsn = stack.settings().required("postgres_dsn")
    with CatalogueStore(dsn) as store:
        assert [user.username for user in store.users() if user.client] == ["curator-aurora"]
    assert Leaving(dsn).held("aurora").vectors == {1: 1}
    with AuditLog(dsn) as log:
        entries = log.last(100, ["client_added", "client_changed", "client_removed"])
        assert [entry["kind"] for entry in entries] == ["client_removed", "client_changed", "client_added"]
        assert {entry["details"]["client"] for entry in entries} == {DUNA}
        assert all("@" in entry["actor"] for entry in entries)
    assert untouched(stack) == before


def test_a_removal_that_was_broken_off_is_finished_by_the_next_and_a_stranger_s_is_refused(stack: Stack) -> None:
    known = Enrolments(stack.state).get(DUNA)
    assert known is not None
    assert known.is_removed
    assert known.is_cleared
    # As one that was broken off after it was said: the stack is waited for, and what is left is removed.
    Enrolments(stack.state).put(dataclasses.replace(known, is_cleared=False))
    with pytest.raises(RemovalUnfinished):
        Clients(stack.state).add(DUNA, is_elsewhere=False, out=None)
    assert remove_client(stack.state, DUNA, delete_bucket=True).is_proved
    assert not (stack.state.root / "s3" / "client-duna").exists()
    assert (cleared := Enrolments(stack.state).get(DUNA))
    assert cleared.is_cleared
    with pytest.raises(ClientNotEnrolled):
        remove_client(stack.state, "nobody")


def test_one_that_comes_back_gets_keys_of_its_own_again(stack: Stack, clients: Clients) -> None:
    clients.add(DUNA, is_elsewhere=True, out=None)
    assert status(stack, DUNA) == [UNREGISTERED, UNREGISTERED, "registered"]
    assert "supernode-duna" not in stack.pids
    assert limits(S3ObjectStore(stack.settings().platform_bucket("data"))) == {}
    assert removed(S3ObjectStore(stack.settings().platform_bucket("data"))) == frozenset()
    with Publications(stack.settings().required("postgres_dsn")) as waves:
        assert waves.put_page(DUNA, 1, [an_offer(9)], np.eye(8, dtype=np.float32)[:1]).written == 1
    stack.check()
