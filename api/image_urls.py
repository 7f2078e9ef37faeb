"""The one place that decides how a product's picture is shown: an address that an ``<img>`` can load for five minutes.

A picture of the catalogue lies among others in one file of its bucket. A signed URL of that file would open all of
them, so the API itself serves it, by a signed link of its own. A picture that is an object of its own, as a client
keeps what it publishes, is opened where it lies: by a URL that a read-only user of that bucket has signed.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from security.links import MAX_LIFE_S, PictureLinks

STEP_S = 60
"""Links made within a minute are the same, so that a browser shows a picture again without loading it again."""
REMEMBERED = 4096
PLATFORM_BUCKET = "data"
_OBJECT = re.compile(r"s3://(?P<bucket>[^/#]+)/(?P<key>[^#]+)(?P<shard>#\d+)?")


class Presigns(Protocol):
    """Signs URLs of one bucket's objects; `catalog.presigning.Presigner` in production."""

    def url(self, key: str, *, valid_s: int) -> str:
        """A GET of ``key`` that is refused after ``valid_s`` seconds."""


@dataclass(frozen=True)
class ImageUrls:
    """Makes addresses of pictures, for whoever may see them: who asks has been judged before."""

    links: PictureLinks
    readers: Mapping[str, Presigns] = field(default_factory=dict)
    """Bucket → who signs for it; a bucket that browsers cannot reach has none."""
    origins: Callable[[], Sequence[str]] = tuple
    """Where those buckets are now, for the page's policy on what it may load."""
    now: Callable[[], float] = time.time
    _signed: OrderedDict[tuple[Presigns, str, int], str] = field(default_factory=OrderedDict)

    def of(self, product: int, s3_path: str) -> str | None:
        """The address of a product's picture, relative where this API serves it; None where no browser reaches it."""
        place = _OBJECT.fullmatch(s3_path)
        if place is None:
            return None
        until = (int(self.now()) // STEP_S) * STEP_S + MAX_LIFE_S
        reader = self.readers.get(place["bucket"])
        if reader is not None and not place["shard"]:
            return self._presigned(reader, s3_path, place["key"], until)
        if place["bucket"] == PLATFORM_BUCKET:
            return f"/files/{product}/image?until={until}&signature={self.links.sign(product, until)}"
        return None

    def takes_time(self, s3_path: str) -> bool:
        """Whether its address is presigned, which takes a millisecond of a core; a link takes three microseconds."""
        place = _OBJECT.fullmatch(s3_path)
        return place is not None and not place["shard"] and place["bucket"] in self.readers

    def check(self, product: int, until: int, signature: str) -> None:
        """Raise Unauthenticated unless ``of`` has made this link, at most five minutes ago."""
        self.links.check(product, until, signature, now=self.now())

    def _presigned(self, reader: Presigns, s3_path: str, key: str, until: int) -> str:
        # Whose bucket has other keys by now, or is another's, has another reader.
        known = self._signed.get((reader, s3_path, until))
        if known is None:
            known = reader.url(key, valid_s=max(1, until - int(self.now())))
            self._signed[reader, s3_path, until] = known
            while len(self._signed) > REMEMBERED:
                self._signed.popitem(last=False)
        return known
