"""`tejido client remove` in containers: the platform's side; the client's services are in containers of their own."""

from __future__ import annotations

from dataclasses import replace

from core.settings import Settings
from deployment.errors import ClientUnknown
from server.client_list import bucket_of, lists_of, of_client
from server.flower import Flower
from server.leaving import ACCESS, Left, forget_client, look_for, parts_in_models


def remove_from_platform(settings: Settings, name: str) -> Left:
    """Remove a client from all that the platform has, and look; one whose removal was broken off is removed to the end.

    Raises:
        ClientUnknown: nobody of this name was ever enrolled here.
        TejidoError: a service did not answer; give the command again.
    """
    if not any(of_client(path, name) for path in lists_of(settings)) and not any(
        node.name == name for node in Flower.of(settings).named_nodes()
    ):
        raise ClientUnknown(f"No client {name} was ever enrolled.", hint="Its name stands in the compose files.")
    path = settings.clients_file
    keys = bucket_of(path, name) if path is not None else None
    held = forget_client(settings, name)
    # Its store and its keys go with its containers; until then it still answers to them.
    evidence = [
        replace(line, is_kept=not line.is_gone, found=f"{line.found}, until its containers are removed")
        if line.what == ACCESS
        else line
        for line in look_for(settings, name, held, keys)
    ]
    return Left(name, tuple(evidence), parts_in_models(settings, name))
