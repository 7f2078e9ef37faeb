"""What a client has decided to publish: ``publication.json`` in its own bucket. Nobody else's word counts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from catalog.objects import ObjectStore, delete_all, get_or_none
from catalog.product import Product
from catalog.published import PICTURES, PUBLICATION_KEY
from clients.errors import NotPublishing, PublicationUnreadable, PublicationWithdrawn


@dataclass(frozen=True, kw_only=True)
class Publication:
    """Which of a client's products may be published. With nothing said, none."""

    everything: bool = False
    article_types: tuple[str, ...] = ()
    references: tuple[int, ...] = ()
    """The client's own numbers."""
    begins: str = ""
    """Not before this moment (ISO 8601 with a time zone); empty: now."""
    withdrawn: bool = False
    """What was published before shall go."""

    def __post_init__(self) -> None:
        if self.begins:
            moment = datetime.fromisoformat(self.begins)
            if moment.tzinfo is None:
                raise ValueError(f"{self.begins} has no time zone")

    def covers(self, product: Product) -> bool:
        """Whether this product may be published."""
        return self.everything or product.article_type in self.article_types or product.id in self.references

    def revision(self, catalogue_version: str) -> str:
        """Changes whenever what is published may have changed."""
        return hashlib.sha256(f"{catalogue_version}/{self.to_json().decode()}".encode()).hexdigest()[:16]

    def to_json(self) -> bytes:
        """For people, too."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Publication:
        """Read what `to_json` wrote.

        Raises:
            PublicationUnreadable: it is something else. A word that is not known is an error too: it may have been
                meant to hold something back.
        """
        try:
            values: dict[str, Any] = json.loads(data)
            if not isinstance(values, dict):
                raise TypeError("it is no object")
            known = {field.name: field.default for field in fields(cls)}
            if not set(values) <= set(known):
                raise ValueError(f"unknown: {', '.join(sorted(set(values) - set(known)))}")
            values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
            wrong = [name for name, value in values.items() if type(value) is not type(known[name])]
            if wrong or not all(type(number) is int for number in values.get("references", ())):
                raise ValueError(f"of another type: {', '.join(wrong) or 'references'}")
            return cls(**values)
        except (ValueError, TypeError) as error:
            raise PublicationUnreadable(
                f"{PUBLICATION_KEY} cannot be read: {error}.", hint="Write it anew: `tejido client publish`."
            ) from None


def write_publication(store: ObjectStore, publication: Publication) -> None:
    """Put a client's decision into its bucket."""
    store.put(PUBLICATION_KEY, publication.to_json())


def withdraw_pictures(store: ObjectStore) -> int:
    """Take away the pictures of everything that was published, at once; returns how many."""
    count = sum(1 for _ in store.list(PICTURES))
    delete_all(store, PICTURES)
    return count


def read_publication(store: ObjectStore) -> Publication | None:
    """A client's decision, or None where it has made none; raises PublicationUnreadable."""
    data = get_or_none(store, PUBLICATION_KEY)
    return None if data is None else Publication.from_json(data)


def publication_in_force(store: ObjectStore, *, now: datetime) -> Publication:
    """What may be published now.

    Raises:
        NotPublishing: the client has not decided to publish anything, or not yet.
        PublicationWithdrawn: what was published shall go.
        PublicationUnreadable: its decision cannot be read.
    """
    publication = read_publication(store)
    if publication is None:
        raise NotPublishing("This client publishes nothing.", hint="Its own word is needed: `tejido client publish`.")
    if publication.withdrawn:
        raise PublicationWithdrawn("This client has withdrawn what it published.")
    if publication.begins and datetime.fromisoformat(publication.begins) > now:
        raise NotPublishing(f"This client publishes nothing before {publication.begins}.")
    return publication
