"""How much a score in an older index version is worth in a newer one, measured where both know the same products.

Cosines of two models have different ranges: 0.30 may be a perfect match in one and an average one in the other. For the
same queries over the same products, the best score in the older version is matched with the best in the newer, the
second with the second, and so on: a line through these pairs brings a product to the rank that it would have. Texts and
pictures are measured apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import structlog
from numpy.typing import NDArray

from catalog.database import Database
from catalog.index import IndexVersion
from catalog.index.left_behind import (
    Calibration,
    Kind,
    calibrations,
    common_vectors,
    has_more,
    put_calibration,
    some_titles,
)
from catalog.index.versions import version_of
from catalog.publications import held
from core.settings import Settings
from server.serving import load_version

RANKS = 50
PRODUCTS = 3000
QUERIES = 200
MIN_SLOPE = 0.05
"""A line that falls, or nearly so, would turn the older version's order round: then it only shifts."""
Vectors = NDArray[np.float32]
EncodeTitles = Callable[[IndexVersion, Sequence[str]], Vectors]
"""(Q, D) of titles by the model of a version."""
log = structlog.get_logger(__name__)


def calibration(older: Vectors, newer: Vectors) -> Calibration:
    """The line from older scores to newer ones.

    Args:
        older: (Q, P) scores of the same queries and products in the older version.
        newer: (Q, P) in the newer.
    """
    ranks = min(RANKS, older.shape[1] - 1)
    ours, theirs = (np.sort(scores, axis=1)[:, ::-1][:, :ranks].astype(np.float64) for scores in (newer, older))
    centred = theirs - theirs.mean()
    spread = float((centred**2).sum())
    slope = float((centred * ours).sum() / spread) if spread else 1.0
    slope = slope if slope >= MIN_SLOPE else 1.0
    intercept = float(ours.mean() - slope * theirs.mean())
    error = float(np.sqrt(np.mean((slope * theirs + intercept - ours) ** 2)))
    return Calibration(slope, intercept, error, len(older))


def calibrate_for(settings: Settings, version: int) -> list[int]:
    """Measure the pairs of a version, live or about to be, with those that alone have some client's products.

    Does nothing where every product is in this version, the usual case. Returns the older versions' ids.

    Raises:
        ModelMissing, ModelDamaged, TrackingUnreachable: a version's model cannot be had.
    """

    def encode(of: IndexVersion, titles: Sequence[str]) -> Vectors:
        return np.asarray(load_version(settings, of).encoder.encode_texts(list(titles)))

    with Database(settings.required("postgres_dsn")) as database:
        with database.transaction() as connection:
            others = sorted({found.version for found in held(connection)} - {version})
            lacking = [number for number in others if has_more(connection, number, than=version)]
            newer = version_of(connection, version)
            older = [version_of(connection, number) for number in lacking]
        for found in older:
            calibrate(database, newer, found, encode)
    return lacking


def calibrate(database: Database, newer: IndexVersion, older: IndexVersion, encode: EncodeTitles) -> None:
    """Measure a pair of versions in both directions, for a rollback, and keep the figures; once a pair.

    Raises:
        IndexVersionMissing: they have no product in common.
    """
    with database.transaction() as connection:
        if set(calibrations(connection, newer.id, older.id)) == {"text", "image"}:
            return
        ours, theirs = common_vectors(connection, newer, older, limit=PRODUCTS)
        titles = some_titles(connection, limit=QUERIES)
    scores: dict[Kind, tuple[Vectors, Vectors]] = {
        "text": (encode(newer, titles) @ ours.T, encode(older, titles) @ theirs.T),
        "image": (_among(ours), _among(theirs)),
    }
    with database.transaction() as connection:
        for kind, (in_newer, in_older) in scores.items():
            put_calibration(connection, newer.id, older.id, kind, calibration(in_older, in_newer))
            put_calibration(connection, older.id, newer.id, kind, calibration(in_newer, in_older))
            log.info("scores of two index versions are compared", newer=newer.id, older=older.id, kind=kind)


def _among(vectors: Vectors) -> Vectors:
    """(Q, P) scores of some products' pictures over all the others."""
    count = min(QUERIES, len(vectors))
    chosen = np.linspace(0, len(vectors) - 1, count).astype(int)
    scores = np.asarray(vectors[chosen] @ vectors.T)
    # A picture is the most like itself in every space, which says nothing.
    scores[np.arange(count), chosen] = -1.0
    return scores
