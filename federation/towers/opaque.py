"""A tower that we cannot take apart: it gives features, and only the heads above it can be trained."""

from __future__ import annotations

from typing import Any

from federation.towers.pixels import Normalise
from federation.towers.stages import Hidden, Stage, Tower


def opaque_image_tower(visual: Any, normalise: Normalise) -> Tower:
    """All of an image tower as its entry."""
    return Tower(_Images(normalise, visual), [], _Nothing())


def opaque_text_tower(text: Any) -> Tower:
    """All of a text tower as its entry."""
    return Tower(_Texts(text), [], _Nothing())


class _Images(Stage):
    def __init__(self, normalise: Normalise, visual: Any) -> None:
        super().__init__()
        self.normalise, self.visual = normalise, visual

    def forward(self, hidden: Hidden) -> Hidden:
        """(B, S, S, 3) → (B, features)"""
        return Hidden(self.visual(self.normalise(hidden.values)))


class _Texts(Stage):
    def __init__(self, text: Any) -> None:
        super().__init__()
        self.text = text

    def forward(self, hidden: Hidden) -> Hidden:
        """(B, L) → (B, features)"""
        return Hidden(self.text(hidden.values))


class _Nothing(Stage):
    def forward(self, hidden: Hidden) -> Hidden:
        """What comes is features already."""
        return hidden
