"""Looks for known secrets in whatever somebody may read, also in the disguises in which they travel."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

MIN_CHARS = 12
"""A shorter secret would be found where it is not."""
PUBLIC_SUFFIXES = (".pub", ".lock")
PUBLIC_NAMES = ("active", "trusted.keys")
ALPHABETS = (base64.b64encode, base64.urlsafe_b64encode)
CHUNK = 2**24


class Scanner:
    """Finds secrets as they are, percent-encoded, in base64 (also within something longer), in hex and in JSON.

    Args:
        secrets: name → value; what `find` returns are names, so that a failing test shows no value.

    Raises:
        ValueError: one is shorter than MIN_CHARS.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._names: dict[bytes, str] = {}
        for name, value in secrets.items():
            if len(value) < MIN_CHARS:
                raise ValueError(f"the secret {name} is too short to be looked for")
            self._names |= dict.fromkeys(forms(value), name)
        self._longest = max(map(len, self._names), default=0)

    def find(self, data: bytes | str) -> set[str]:
        """Names of the secrets that are in it."""
        data = data.encode() if isinstance(data, str) else data
        return {name for form, name in self._names.items() if form in data}

    def find_in_file(self, path: Path) -> set[str]:
        """The same of a file of any size; of one that is gone, none."""
        found: set[str] = set()
        try:
            with path.open("rb") as stream:
                before = b""
                while chunk := stream.read(CHUNK):
                    found |= self.find(before + chunk)
                    before = chunk[-self._longest :]
        except FileNotFoundError:
            pass
        return found


def forms(value: str) -> set[bytes]:
    """Every way to write a secret that is looked for."""
    raw = value.encode()
    percent = {quote(value), quote(value, safe=""), quote_plus(value)}
    percent |= {re.sub(r"%..", lambda code: code[0].lower(), form) for form in percent}
    texts = {value, json.dumps(value)[1:-1], raw.hex(), raw.hex().upper(), *percent}
    return {text.encode() for text in texts} | set(_within_base64(raw))


def _within_base64(raw: bytes) -> Iterator[bytes]:
    """The characters that say nothing but the secret, wherever in three bytes it begins: as in "user:secret"."""
    for encode in ALPHABETS:
        for before in range(3):
            first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
            yield encode(b"\0" * before + raw)[first:last]


def secrets_in(folder: Path) -> dict[str, str]:
    """The secrets in the files of a folder, by path; each line of a private key counts as one."""
    found: dict[str, str] = {}
    for path in sorted(secret_files(folder)):
        lines = [line for line in path.read_text().splitlines() if len(line) >= MIN_CHARS and not line.startswith("-")]
        found |= {f"{path.relative_to(folder)}:{number}": line for number, line in enumerate(lines)}
    return found


def secret_files(folder: Path) -> Iterable[Path]:
    """The files of a folder but those that anybody may have: public keys, names of keys, names of S3 users."""
    for path in folder.rglob("*"):
        is_public = path.name in PUBLIC_NAMES or path.name.endswith((*PUBLIC_SUFFIXES, "-access-key"))
        if path.is_file() and not is_public and not path.name.startswith("."):
            yield path
