"""Questions about other clients' unpublished products, each beside its twin, which asks for what nobody has.

An attack succeeds if its answer holds anything of the product, or is another than the twin's: that tells of it.
"""

from __future__ import annotations

import base64
import hashlib
import io
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from api.cursors import file_cursor

FIELDS = "id filename s3Path imageUrl gender baseColour brand owner origin productDisplayName"
NOBODY = 1_999_999_999
"""A number that no product has."""
TEXTS = (
    "productDisplayName",
    "gender",
    "masterCategory",
    "subCategory",
    "articleType",
    "baseColour",
    "season",
    "usage",
)
FILTERS = ("gender", "masterCategory", "subCategory", "articleType", "baseColour", "season", "usage", "brand")


@dataclass(frozen=True)
class Hidden:
    """An unpublished product as its client knows it."""

    client: str
    number: int
    id: int = 0

    @property
    def word(self) -> str:
        """Stands in each of its texts."""
        return f"Zz{self.client}{self.number:02d}"

    @property
    def reference(self) -> str:
        return f"ref-{self.word}"

    @property
    def picture(self) -> bytes:
        """Like no other."""
        shade = hashlib.sha256(self.word.encode()).digest()
        stream = io.BytesIO()
        Image.frombytes("RGB", (8, 8), (shade * 6)[:192]).resize((64, 64)).save(stream, "PNG")
        return stream.getvalue()

    @property
    def input(self) -> dict[str, Any]:
        """What createProducts takes."""
        texts = dict.fromkeys(TEXTS, f"{self.word} Women Top")
        image = base64.b64encode(self.picture).decode()
        return {**texts, "reference": self.reference, "image": image, "year": 2026}

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no answer to anybody else may hold."""
        return (self.word, hashlib.sha256(self.picture).hexdigest())


@dataclass(frozen=True)
class Asked:
    """One request: GraphQL, or the path of a GET."""

    query: str = ""
    variables: dict[str, Any] = field(default_factory=dict)
    path: str = ""


@dataclass(frozen=True)
class Attack:
    """A request, its twin, and what may differ between the two: what was sent."""

    asked: Asked
    twin: Asked
    sent: tuple[str, str]


Kind = Callable[[random.Random, Hidden], Attack]


def _pair(query: str, variables: dict[str, Any], twin: dict[str, Any], sent: tuple[object, object]) -> Attack:
    return Attack(Asked(query, variables), Asked(query, twin), (str(sent[0]), str(sent[1])))


def _by_id(query: str, of: Hidden, **more: Any) -> Attack:
    return _pair(query, {"id": of.id, **more}, {"id": NOBODY, **more}, (of.id, NOBODY))


def file(rng: random.Random, of: Hidden) -> Attack:
    """By its number."""
    return _by_id(f"query ($id: Int!) {{ file(id: $id) {{ {FIELDS} }} }}", of)


def similar(rng: random.Random, of: Hidden) -> Attack:
    """What it looks like."""
    query = f"query ($id: Int!) {{ similarTo(id: $id, first: 5) {{ totalCount edges {{ node {{ {FIELDS} }} }} }} }}"
    return _by_id(query, of)


def update(rng: random.Random, of: Hidden) -> Attack:
    """Another value, or another picture."""
    query = f"""mutation ($id: Int!, $c: ProductChanges!) {{
        updateProduct(id: $id, changes: $c) {{ product {{ {FIELDS} }} }} }}"""
    changes: dict[str, Any] = rng.choice(
        [{"baseColour": "Taken"}, {"year": None}, {"image": Hidden("x", 0).input["image"]}]
    )
    return _by_id(query, of, c=changes)


def delete(rng: random.Random, of: Hidden) -> Attack:
    """Away with it; the answer is what it was."""
    return _by_id(f"mutation ($id: Int!) {{ deleteProduct(id: $id) {{ {FIELDS} }} }}", of)


def publish(rng: random.Random, of: Hidden) -> Attack:
    """For all to see."""
    return _by_id(f"mutation ($id: Int!) {{ publishProduct(id: $id) {{ state product {{ {FIELDS} }} }} }}", of)


def picture(rng: random.Random, of: Hidden) -> Attack:
    """Its picture, by a token or by a link that was made for nobody."""
    end = rng.choice(["", f"?until=4102444800&signature={'A' * 43}"])
    return Attack(
        Asked(path=f"/files/{of.id}/image{end}"), Asked(path=f"/files/{NOBODY}/image{end}"), (str(of.id), str(NOBODY))
    )


def rest(rng: random.Random, of: Hidden) -> Attack:
    """The same by REST."""
    path = rng.choice(["/v1/files/{}/similar", "/v1/files/{}", "/v1/files?first=5&after={}"])
    return Attack(Asked(path=path.format(of.id)), Asked(path=path.format(NOBODY)), (str(of.id), str(NOBODY)))


def reference(rng: random.Random, of: Hidden) -> Attack:
    """By its client's own key."""
    query = (
        f"query ($r: [String!]!) {{ ownProducts(references: $r) {{ reference imageSha256 product {{ {FIELDS} }} }} }}"
    )
    return _pair(query, {"r": [of.reference]}, {"r": ["ref-nobody"]}, (of.reference, "ref-nobody"))


def browse(rng: random.Random, of: Hidden) -> Attack:
    """By a value that it alone has, in pages, counts and facets."""
    name = rng.choice(FILTERS)
    body = rng.choice([
        "files(first: 5, filter: $f) { totalCount facets { values { value products } } edges { node { id } } }",
        "facets(filter: $f) { attribute values { value products } }",
        'searchByText(text: "top", first: 5, filter: $f) { totalCount edges { node { id } } }',
    ])  # fmt: skip
    value, other = f"{of.word} Women Top", "Nobody Women Top"
    if name == "brand":
        value, other = of.word, "Nobody"
    query = f"query ($f: FileFilter) {{ {body} }}"
    return _pair(query, {"f": {name: [value]}}, {"f": {name: [other]}}, (value, other))


def of_owner(rng: random.Random, of: Hidden) -> Attack:
    """All that its client has; the twin looks once more, so only what is shown can tell."""
    query = (
        f"query ($f: FileFilter) {{ files(first: 50, filter: $f) {{ totalCount edges {{ node {{ {FIELDS} }} }} }} }}"
    )
    variables = {"f": {"owner": [of.client]}}
    return _pair(query, variables, variables, ("", ""))


def walk(rng: random.Random, of: Hidden) -> Attack:
    """From a cursor that its client's page would have."""
    query = f"""query ($a: String) {{ files(first: 50, after: $a) {{
        edges {{ node {{ {FIELDS} }} }} pageInfo {{ hasNextPage }} }} }}"""
    before, after = file_cursor(of.id - 1), file_cursor(of.id)
    return _pair(query, {"a": before}, {"a": after}, (before, after))


def page(rng: random.Random, of: Hidden) -> Attack:
    """The list of what is not published, from just before it."""
    query = f"query ($a: Int!) {{ unpublishedProducts(first: 50, after: $a) {{ reference product {{ {FIELDS} }} }} }}"
    return _pair(query, {"a": of.id - 1}, {"a": of.id}, ("", ""))


def words(rng: random.Random, of: Hidden) -> Attack:
    """By its title; who sends it knows it, and must not find it."""
    query = f'query {{ searchByText(text: "{of.word} top", first: 20) {{ edges {{ node {{ {FIELDS} }} }} }} }}'
    return Attack(Asked(query), Asked(query), ("", ""))


def look(rng: random.Random, of: Hidden) -> Attack:
    """By its very picture."""
    query = f"query ($i: String!) {{ searchByImage(image: $i, first: 20) {{ edges {{ node {{ {FIELDS} }} }} }} }}"
    variables = {"i": of.input["image"]}
    return _pair(query, variables, variables, ("", ""))


def aliases(rng: random.Random, of: Hidden) -> Attack:
    """Many numbers at once."""

    def asked(first: int) -> Asked:
        parts = " ".join(f"a{n}: file(id: {first + n}) {{ {FIELDS} }}" for n in range(5))
        return Asked(f"{{ {parts} }}")

    return Attack(asked(of.id), asked(NOBODY), ("", ""))


KINDS: tuple[Kind, ...] = (
    file, similar, update, delete, publish, picture, rest, reference, browse, of_owner, walk, page, words, look,
    aliases,
)  # fmt: skip
