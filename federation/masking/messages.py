"""What participants and coordinator tell each other, as plain values for a message, and read from a stranger's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from federation.errors import MaskingRefused
from federation.masking.keys import PublicKeys
from federation.masking.participant import Revealed

Values = Mapping[str, object]
T = TypeVar("T", str, bytes)
V = TypeVar("V")
PARTS = ("channel", "mask", "commitment", "voucher")


def told_public(keys: PublicKeys) -> dict[str, Any]:
    """A participant's own keys."""
    return {part: getattr(keys, part) for part in PARTS}


def read_public(values: Values) -> PublicKeys:
    """Read them; raises MaskingRefused, as all that read here, where they are none."""
    return PublicKeys(*(_one(values, name, bytes) for name in PARTS))


def told_participants(keys: Mapping[str, PublicKeys], threshold: int) -> dict[str, Any]:
    """Everybody's keys, and how many participants must be left."""
    return {
        "names": list(keys),
        "threshold": threshold,
        **{part: [getattr(theirs, part) for theirs in keys.values()] for part in PARTS},
    }


def read_participants(values: Values) -> tuple[dict[str, PublicKeys], int]:
    """Read them."""
    threshold = values.get("threshold")
    if type(threshold) is not int:
        raise MaskingRefused("The threshold of a masked round is no number.")
    names, parts = _many(values, "names", str), [_many(values, part, bytes) for part in PARTS]
    if any(len(column) != len(names) for column in parts):
        raise MaskingRefused("A message of a masked round has not all keys of each participant.")
    keys = [PublicKeys(*row) for row in zip(*parts, strict=True)]
    return _unique(zip(names, keys, strict=True)), threshold


def told_sealed(sealed: Mapping[str, bytes]) -> dict[str, Any]:
    """Sealed shares, by name of whom they are for, or whom they are from."""
    return {"names": list(sealed), "sealed": list(sealed.values())}


def read_sealed(values: Values) -> dict[str, bytes]:
    """Read them."""
    return _pairs(values, "names", "sealed")


def told_left(survivors: tuple[str, ...], dropped: tuple[str, ...]) -> dict[str, Any]:
    """Whose terms are in the sum, and who shared but whose are not."""
    return {"survivors": list(survivors), "dropped": list(dropped)}


def read_left(values: Values) -> tuple[list[str], list[str]]:
    """Read them."""
    return _many(values, "survivors", str), _many(values, "dropped", str)


def told_revealed(revealed: Revealed) -> dict[str, Any]:
    """Shares that unmask a sum."""
    return {
        "survivors": list(revealed.seeds),
        "seeds": list(revealed.seeds.values()),
        "dropped": list(revealed.masks),
        "masks": list(revealed.masks.values()),
    }


def read_revealed(values: Values, survivors: tuple[str, ...], dropped: tuple[str, ...]) -> Revealed:
    """Read them: of exactly these."""
    revealed = Revealed(_pairs(values, "survivors", "seeds"), _pairs(values, "dropped", "masks"))
    if set(revealed.seeds) != set(survivors) or set(revealed.masks) != set(dropped):
        raise MaskingRefused("It revealed shares of others than it was asked for.")
    return revealed


def _pairs(values: Values, names: str, contents: str) -> dict[str, bytes]:
    found, parts = _many(values, names, str), _many(values, contents, bytes)
    if len(found) != len(parts):
        raise MaskingRefused(f"A message of a masked round has {len(found)} {names} for {len(parts)} {contents}.")
    return _unique(zip(found, parts, strict=True))


def _unique(pairs: Iterable[tuple[str, V]]) -> dict[str, V]:
    found: dict[str, V] = {}
    for name, value in pairs:
        if name in found:
            raise MaskingRefused("A message of a masked round names somebody twice.")
        found[name] = value
    return found


def _many(values: Values, name: str, kind: type[T]) -> list[T]:
    found = values.get(name)
    if not isinstance(found, list) or not all(isinstance(entry, kind) for entry in found):
        raise MaskingRefused(f"A message of a masked round has no list of {name}.")
    return found


def _one(values: Values, name: str, kind: type[T]) -> T:
    found = values.get(name)
    if not isinstance(found, kind):
        raise MaskingRefused(f"A message of a masked round has no {name}.")
    return found
