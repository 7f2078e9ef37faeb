"""A bundle of our own for a real SuperNode: its coordinator asks every client once and writes down what came."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded.stack import Stack
from federation.config import FederationConfig, RunConfig
from server.contracts import signed_settings, training_contract
from server.flower import PROGRAMS, flower_environment

PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "probe"
version = "1.0.{build}"
description = ""
license = "Apache-2.0"
dependencies = ["flwr>=1.41,<2"]

[tool.hatch.build.targets.wheel]
packages = ["."]

[tool.flwr.app]
publisher = "tejido"

[tool.flwr.app.components]
serverapp = "probe_app:server"
clientapp = "probe_app:client"

[tool.flwr.app.config]
answers = ""
asked = "{{}}"
nodes = 0
contract = ""
contract-signature = ""
"""
APP = '''\
"""Asks once."""
import json, time
from pathlib import Path
from flwr.app import ConfigRecord, Context, Message, MessageType, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

server = ServerApp()
client = ClientApp()


@server.main()
def main(grid: Grid, context: Context) -> None:
    until = time.monotonic() + 30
    while len(names := {node.node_id: node.name for node in grid.get_nodes()}) < context.run_config["nodes"]:
        assert time.monotonic() < until
        time.sleep(0.3)
    asked = ConfigRecord(json.loads(context.run_config["asked"]))
    messages = [
        Message(RecordDict({"config": asked}), dst_node_id=node, message_type=MessageType.TRAIN) for node in names
    ]
    said = {}
    for reply in grid.send_and_receive(messages, timeout=60):
        name = names.get(reply.metadata.src_node_id, "")
        if reply.has_error():
            said[name] = {"error": reply.error.reason}
        else:
            said[name] = {key: dict(record) for key, record in reply.content.config_records.items()}
    path = Path(context.run_config["answers"])
    path.with_suffix(".part").write_text(json.dumps(said))
    path.with_suffix(".part").rename(path)


@client.train()
def train(message: Message, context: Context) -> Message:
    Path(context.run_config["answers"] + f".ran-{context.node_id}").touch()
    size = int(message.content.config_records["config"].get("size", 1))
    return Message(RecordDict({"done": ConfigRecord({"text": "x" * size})}), reply_to=message)
'''
CONFIG = FederationConfig(rounds=3)
ASKED = CONFIG.to_run_config() | {"run": "probe", "round": 1}


@dataclass(frozen=True)
class Probe:
    """Sources of the bundle, in a folder."""

    folder: Path

    @classmethod
    def at(cls, folder: Path, *, build: int = 0) -> Probe:
        """Write them."""
        folder.mkdir()
        (folder / "pyproject.toml").write_text(PROJECT.format(build=build))
        (folder / "probe_app.py").write_text(APP)
        return cls(folder)

    def sha256(self, tmp_path: Path) -> str:
        """Of the bundle that Flower makes of them."""
        out = tmp_path / "built"
        out.mkdir(exist_ok=True)
        subprocess.run(
            [str(PROGRAMS / "flwr"), "build", "--app", str(self.folder)], cwd=out, check=True, capture_output=True
        )
        (built,) = out.glob("*.fab")
        found = hashlib.sha256(built.read_bytes()).hexdigest()
        built.unlink()
        return found

    def contract(self, stack: Stack, tmp_path: Path) -> RunConfig:
        """As the operator of a stack signs it."""
        draft = training_contract("probe", CONFIG, limit_s=600)
        return signed_settings(draft(self.sha256(tmp_path), ""), stack.settings().bundle_key_file)

    def ask(
        self, stack: Stack, answers: Path, *, nodes: int, contract: RunConfig | None = None, **asked: Any
    ) -> tuple[dict[str, dict[str, Any]], int]:
        """What every client said, by name, and on how many of them the bundle's own code ran."""
        settings = stack.settings()
        assert settings.flwr_home is not None
        values = {
            "answers": str(answers),
            "asked": json.dumps(ASKED | asked),
            "nodes": nodes,
            **(contract or {}),
        }
        overrides = answers.with_suffix(".toml")
        overrides.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
        command = [str(PROGRAMS / "flwr"), "run", str(self.folder), settings.superlink_connection]
        done = subprocess.run(
            [*command, "--run-config", str(overrides)],
            env=flower_environment(settings.flwr_home),
            check=True,
            capture_output=True,
            text=True,
        )
        print(done.stdout, file=sys.stderr)
        until = time.monotonic() + 60
        while not answers.exists():
            assert time.monotonic() < until, stack.log("coordinator").read_text()[-3000:]
            time.sleep(0.2)
        return json.loads(answers.read_text()), len(list(answers.parent.glob(f"{answers.name}.ran-*")))
