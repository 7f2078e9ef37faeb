"""Every SuperNode with its name and key, which Flower's own list leaves out: `python -m server.supernodes CONNECTION`.

A program of its own, as the ``flwr`` commands are: Flower finds the connection by FLWR_HOME, and what it logs stays
here.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys

from flwr.cli.flower_config import read_superlink_connection
from flwr.cli.utils import init_http_client_from_connection
from flwr.proto.control_pb2 import ListNodesRequest


def listed(connection: str) -> list[dict[str, str]]:
    """What the SuperLink behind a connection knows of its nodes, those that were unregistered too."""
    client = init_http_client_from_connection(read_superlink_connection(connection))
    try:
        found = client.ListNodes(ListNodesRequest()).nodes_info
    finally:
        client.close()
    return [
        {
            "node-id": str(node.node_id),
            "name": node.name,
            "status": node.status,
            "public-key": node.public_key.decode(),
        }
        for node in found
    ]


def main() -> None:
    """Print the list as JSON, in the shape in which Flower's commands answer."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            nodes = listed(sys.argv[1])
    except (Exception, SystemExit) as error:
        print(json.dumps({"success": False, "error-message": f"{error} {said.getvalue()}".strip()}))
        return
    print(json.dumps({"success": True, "nodes": nodes}))


if __name__ == "__main__":
    main()
