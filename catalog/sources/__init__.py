"""Where products come from: ``hf:owner/name``, ``dir:PATH``, ``synthetic``."""

from __future__ import annotations

from pathlib import Path

from catalog.errors import SourceUnknown
from catalog.sources.rows import RawRow, Source

__all__ = ["RawRow", "Source", "open_source"]


def open_source(spec: str, *, limit: int | None = None, seed: int = 0) -> Source:
    """The source that ``spec`` names; checked as far as that is quick.

    Args:
        spec: ``hf:owner/name`` · ``dir:PATH`` (styles.csv and images/) · ``synthetic``.
        limit: at most this many rows, a seeded sample in the source's order; all by default (synthetic: 1,500).
        seed: of the sample, and of what ``synthetic`` draws.

    Raises:
        SourceUnknown: no such kind of source, or a limit below 1.
        SourceMissing, ColumnsMissing, HubUnreachable: it cannot be read.
    """
    if limit is not None and limit < 1:
        raise SourceUnknown(f"A source of {limit} products is none.", hint="Ask for at least one product.")
    kind, _, rest = spec.strip().partition(":")
    # Each source is imported when it is asked for: the hub's client and Pillow's drawing are slow to load.
    if kind == "dir" and rest:
        from catalog.sources.directory import DirectorySource

        return DirectorySource(Path(rest).expanduser(), limit=limit, seed=seed)
    if kind == "hf" and rest.count("/") == 1:
        from catalog.sources.huggingface import HubSource

        return HubSource(rest, limit=limit, seed=seed)
    if spec.strip() == "synthetic":
        from catalog.sources.synthetic import DEFAULT_PRODUCTS, SyntheticSource

        return SyntheticSource(limit or DEFAULT_PRODUCTS, seed=seed)
    raise SourceUnknown(
        f"{spec!r} names no source.", hint="Use hf:owner/name, dir:PATH (styles.csv and images/), or synthetic."
    )
