"""Who masks with this client in a confidential round: only clients that it knows, where its policy names them.

Each client vouches for its keys of the round. The coordinator relays them, and could otherwise play all of the others
itself. This runs in what is installed here, before the coordinator's programs see the keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from security.errors import PolicyRefused
from security.policy import Policy
from security.vouchers import signer_of, statement

SHARING = "query.masking_shares"
"""The message that names everybody's keys."""
PARTS = ("channel", "mask", "commitment")


def check_peers(policy: Policy, values: Mapping[str, Any], participants: Mapping[str, Any], *, own: str) -> None:
    """Insist that every other participant is one of the policy's ``peers``, each another one.

    Args:
        policy: whose ``peers`` are the others' public keys; None: whoever the coordinator names.
        values: what the message is about.
        participants: columns of ``names``, of each part of the keys, and of ``voucher``.
        own: this client's public key.

    Raises:
        PolicyRefused: names who is not known.
    """
    if policy.peers is None:
        return
    columns = [participants.get(name) for name in ("names", *PARTS, "voucher")]
    lists = [column for column in columns if isinstance(column, list)]
    if len(lists) < len(columns) or len({len(column) for column in lists}) > 1:
        raise PolicyRefused("peers", "the round's participants are not told as they must be")
    left = {*policy.peers, own}
    for name, *parts, voucher in zip(*lists, strict=True):
        if not isinstance(name, str) or not all(isinstance(part, bytes) for part in parts):
            raise PolicyRefused("peers", "the round's participants are not told as they must be")
        signer = signer_of(voucher, statement(values, name, dict(zip(PARTS, parts, strict=True))))
        if signer not in left:
            raise PolicyRefused("peers", f"{name[:60]!r} is not known, or takes part twice")
        left.remove(signer)
