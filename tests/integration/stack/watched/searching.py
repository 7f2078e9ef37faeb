"""Somebody who searches all the time, so that there is something to measure."""

from __future__ import annotations

import base64
import threading
from typing import Any

import httpx

TEXTS = ("black shoes", "red dress", "navy blue checked shirt")
BY_TEXT = "query ($t: String!) { searchByText(text: $t, first: 3) { edges { node { id } } } }"
BY_IMAGE = "query ($i: String!) { searchByImage(image: $i, first: 3) { edges { node { id } } } }"


def keep_searching(reader: httpx.Client, done: threading.Event) -> None:
    """Search by words and by picture, known and new, with a mistake now and then."""
    (file,) = ask(reader, "{ allFiles(limit: 1) { id } }")["data"]["allFiles"]
    picture = base64.b64encode(reader.get(f"/files/{file['id']}/image").content).decode()
    number = 0
    while not done.wait(0.2):
        number += 1
        ask(reader, BY_TEXT, t=TEXTS[number % 3])
        ask(reader, BY_TEXT, t=f"{TEXTS[0]} {number}")
        ask(reader, BY_IMAGE, i=picture)
        ask(reader, "{ allFiles(limit: 0) { id } }")


def ask(reader: httpx.Client, query: str, **variables: str) -> Any:
    return reader.post("/graphql", json={"query": query, "variables": variables}).json()
