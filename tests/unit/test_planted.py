"""The scanner for secrets finds what is planted, in every disguise, and nothing where nothing is."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from tests.planted import CHUNK, Scanner, secrets_in

SECRET = 'p\u00e4ss/w+rd "&=%planted'
SCANNER = Scanner({"the password": SECRET, "another": "x" * 40})
DISGUISES = {
    "plain": SECRET,
    "in a sentence": f"could not log in with {SECRET}: refused",
    "in a URL": f"postgresql://catalog:{quote(SECRET, safe='')}@127.0.0.1/catalog",
    "in a path": quote(SECRET),
    "lower-case escapes": quote(SECRET, safe="").lower(),
    "in a form": urlencode({"password": SECRET}),
    "in JSON": json.dumps({"password": SECRET}),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64 of URLs": base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
    "hex": SECRET.encode().hex(),
}


@pytest.mark.parametrize("text", DISGUISES.values(), ids=DISGUISES)
def test_a_planted_secret_is_found(text: str) -> None:
    assert SCANNER.find(text) == {"the password"}


@pytest.mark.parametrize("user", ["", "a", "ad", "admin", "someone"])
@pytest.mark.parametrize("after", ["", "\n", "and more"])
def test_a_secret_within_something_longer_in_base64_is_found(user: str, after: str) -> None:
    inside = f"{user}{SECRET}{after}".encode()
    assert SCANNER.find(b"Basic " + base64.b64encode(inside)) == {"the password"}


def test_nothing_is_found_where_nothing_is() -> None:
    assert SCANNER.find(SECRET[:-1]) == set()
    assert SCANNER.find(base64.b64encode(SECRET[1:].encode())) == set()


def test_a_secret_across_the_border_of_two_reads_is_found(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"." * (CHUNK - 5) + SECRET.encode() + b".")
    assert SCANNER.find_in_file(path) == {"the password"}
    assert SCANNER.find_in_file(tmp_path / "absent") == set()


def test_a_secret_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="the word is too short"):
        Scanner({"the word": "short"})


def test_secrets_are_files_lines_of_keys_and_nothing_public(tmp_path: Path) -> None:
    (tmp_path / "nodes").mkdir()
    (tmp_path / "password").write_text("0123456789abcdef")
    (tmp_path / "s3-access-key").write_text("0123456789abcdef")
    (tmp_path / "nodes" / "a.pub").write_text("ssh-ed25519 0123456789")
    (tmp_path / "nodes" / "a.key").write_text("-----BEGIN PRIVATE KEY-----\nfirst line of it\nsecond line of it\n---\n")
    assert set(secrets_in(tmp_path)) == {"password:0", "nodes/a.key:0", "nodes/a.key:1"}
