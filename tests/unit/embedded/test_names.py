"""No two clients, and no client and the platform, come to share a key, a file or a folder by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ClientNameInvalid
from core.names import RESERVED, checked_client_name, checked_name, client_bucket_name
from embedded.clients import Clients
from embedded.object_store import ObjectStore
from embedded.ports import Port
from embedded.removing import _files
from embedded.state import StateFolder

PORT = Port("S3", 9000, 9000)
NAMES = ("duna", "duna-reader", "reader-duna", "reader", "duna-access-key", "reader-client-duna", "platform")


def test_no_two_users_of_any_store_have_the_same_keys(tmp_path: Path) -> None:
    state = StateFolder.at(tmp_path)
    stores = [ObjectStore(state=state, port=PORT, owner=client_bucket_name(name)) for name in NAMES]
    stores.append(ObjectStore(state=state, port=PORT))
    keys = [key for store in stores for key in (store.access_key, store.reader.access_key)]
    secrets = [key for store in stores for key in (store.secret_key, store.reader.secret_key.get_secret_value())]
    assert len(set(keys)) == len(set(secrets)) == 2 * (len(NAMES) + 1)


def test_what_is_deleted_with_a_client_is_nobody_else_s(tmp_path: Path) -> None:
    state = StateFolder.at(tmp_path)
    files = {name: {path for paths in _files(state, Clients(state), name).values() for path in paths} for name in NAMES}
    assert len(set().union(*files.values())) == sum(len(paths) for paths in files.values())


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_client_cannot_have_a_name_of_the_platform_s_and_a_program_can(tmp_path: Path, name: str) -> None:
    clients = Clients(StateFolder.at(tmp_path))
    with pytest.raises(ClientNameInvalid, match="platform's own"):
        clients.add(name, is_elsewhere=False, out=None)
    with pytest.raises(ClientNameInvalid):
        checked_client_name(name)
    assert checked_name(name, of="a program") == name
