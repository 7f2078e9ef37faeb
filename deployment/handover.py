"""The folder that a client is given: its keys, whom to trust, its settings, its policy, and what to do with them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.environment import environment_text
from core.files import SECRET_MODE, write_secret
from deployment.errors import HandoverInvalid

PRIVATE = 0o700
POLICY = "policy.toml"
README = """\
# What to do with this folder

It makes whoever has it the client **{name}** of a Tejido federation. Copy it over a channel that you trust, to a
folder that nobody else reads (`chmod -R go= .`), and keep no other copy. `tejido client rotate {name}`, on the
operator's side, makes a copy worthless that was lost.

| file | what it is |
|---|---|
| `node.key` | proves to the coordinator that it is you |
| `ca.pem` | by which you know the coordinator |
| `superexec` | by which the two processes below know each other |
| `client.env` | your bucket `{bucket}` and the keys that open it, and no other |
| `policy.toml` | **your word**: what you take part in. Read it, change it; nobody but you writes it |

1. Install the same version of Tejido as the operator has.
2. `tejido client policy check policy.toml`
3. Start both, in this folder, and keep them running:

```
FLWR_HOME=$PWD/flwr flower-supernode --superlink {superlink} --root-certificates ca.pem \\
    --auth-supernode-private-key node.key --host 127.0.0.1 --port 9094 \\
    --isolation process --superexec-auth-secret-file superexec
FLWR_HOME=$PWD/flwr TEJIDO_ENV_FILE=$PWD/client.env python -m clients.superexec --insecure \\
    --runtime-api-address 127.0.0.1:9094 --superexec-auth-secret-file superexec \\
    --health-server-address 127.0.0.1:9194
```

The second trains: it has the bucket, and not the node's key. You enrolled for {limit}.
It makes two folders here: `cache`, which may go at any time, and `state`, which may not: what has left this machine,
and what you have promised in confidential rounds.
`tejido client publish {name} --all` says what of your products may be shown; until then, none is.
"""


@dataclass(frozen=True, kw_only=True)
class Handover:
    """What one client is given."""

    name: str
    bucket: str
    superlink: str
    """host:port, as the client reaches it."""
    authority: str
    node_key: str
    superexec: str
    settings: Mapping[str, object]
    policy: str
    """What a policy that the client has not written yet begins as."""
    max_examples: int | None = None

    def write(self, folder: Path) -> list[str]:
        """Write what is missing or out of date, and return the names of these files; the client's policy stays.

        Raises:
            HandoverInvalid: there is something else than a folder, or another user's.
        """
        if folder.exists() and not folder.is_dir():
            raise HandoverInvalid(f"{folder} is no folder.", hint="Name another one with --out.")
        # Its owner could exchange what is written there, and a policy that lies there stays.
        if folder.exists() and {folder.stat().st_uid, folder.lstat().st_uid} != {os.geteuid()}:
            raise HandoverInvalid(f"{folder} belongs to another user.", hint="Name a folder of your own with --out.")
        folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
        folder.chmod(PRIVATE)
        limit = "all products that you are given" if self.max_examples is None else f"{self.max_examples:,} products"
        readme = README.format(name=self.name, bucket=self.bucket, superlink=self.superlink, limit=limit)
        texts = {
            "README.md": readme,
            "ca.pem": self.authority,
            "client.env": environment_text({**self.settings, "policy_file": POLICY}),
            "node.key": self.node_key,
            "superexec": self.superexec,
        }
        if not (folder / POLICY).exists():
            texts[POLICY] = self.policy
        return [name for name, text in texts.items() if _write(folder / name, text)]


def _write(path: Path, text: str) -> bool:
    if path.is_file() and path.read_text() == text:
        if path.stat().st_mode & 0o777 != SECRET_MODE:
            path.chmod(SECRET_MODE)
            return True
        return False
    write_secret(path, text.encode())
    return True
