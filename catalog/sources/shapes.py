"""Shapes of the drawn products, on a canvas 100 units wide and 133 high.

Each shape is what a person would cut out of cloth: pieces that take the cloth's pattern, then details over them.
"""

from __future__ import annotations

from collections.abc import Callable

from catalog.sources.canvas import Canvas
from catalog.sources.palette import contrast, shade

Shape = Callable[[Canvas, str], None]
"""Draws one kind of product; the text is the detail that its name tells."""


def _top(c: Canvas, *, sleeve: float, hem: float = 112) -> None:
    """A body with two sleeves that end at height ``sleeve``."""
    reach = 6 if sleeve < 70 else 12
    c.piece((30, 24), (14 if sleeve < 70 else 18, 32), (reach - 2, sleeve - 6), (reach + 14, sleeve), (32, 50))
    c.piece((70, 24), (86 if sleeve < 70 else 82, 32), (102 - reach, sleeve - 6), (86 - reach, sleeve), (68, 50))
    c.piece((30, 24), (40, 20), (60, 20), (70, 24), (70, 60), (72, hem), (28, hem), (30, 60))


def _neck(c: Canvas, detail: str) -> None:
    skin = (250, 248, 246)
    if detail == "V-Neck":
        c.patch((40, 19), (60, 19), (50, 40), fill=skin)
        c.seam((40, 20), (50, 40), (60, 20), width=1.6)
    else:
        c.half_disc((39, 8, 61, 31), fill=skin)
        c.arc((39, 8, 61, 31), 0, 180, width=1.6)


def tshirt(c: Canvas, detail: str) -> None:
    """Short sleeves; ``detail`` is the neck."""
    _top(c, sleeve=58)
    _neck(c, detail)


def shirt(c: Canvas, detail: str) -> None:
    """A collar and a row of buttons; ``detail`` is the sleeve's length."""
    _top(c, sleeve=100 if detail == "Full Sleeve" else 58)
    c.patch((38, 17), (50, 26), (42, 36), fill=shade(c.colour, 0.85))
    c.patch((62, 17), (50, 26), (58, 36), fill=shade(c.colour, 0.85))
    c.seam((38, 17), (42, 36), (50, 26), (58, 36), (62, 17))
    c.seam((50, 28), (50, 112), width=0.8)
    for y in range(40, 110, 14):
        c.disc(50, y, 1.8, fill=contrast(c.colour))


def sweatshirt(c: Canvas, detail: str) -> None:
    """Long sleeves and cuffs; ``detail`` says whether it has a hood."""
    if detail == "Hooded":
        c.round_piece((32, 4, 68, 40))
    _top(c, sleeve=104)
    cuff = shade(c.colour, 0.7)
    c.patch((28, 106), (72, 106), (72, 113), (28, 113), fill=cuff)
    if detail == "Hooded":
        c.hollow((38, 10, 62, 36), radius=None, fill=shade(c.colour, 0.5))
        c.seam((46, 34), (45, 54), width=1.2, fill=contrast(c.colour))
        c.seam((54, 34), (55, 54), width=1.2, fill=contrast(c.colour))
        c.seam((38, 98), (42, 78), (58, 78), (62, 98), width=1.2)
    else:
        _neck(c, "Round Neck")


def dress(c: Canvas, detail: str) -> None:
    """A bodice and a skirt; ``detail`` is its length."""
    hem, flare = (126, 12) if detail == "Maxi" else (98, 16)
    c.piece((36, 12), (42, 12), (44, 24), (56, 24), (58, 12), (64, 12), (66, 34), (62, 52), (38, 52), (34, 34))
    c.piece((38, 52), (62, 52), (100 - flare, hem), (flare, hem))
    c.seam((38, 52), (62, 52), width=3.2, fill=shade(c.colour, 0.5))


def skirt(c: Canvas, detail: str) -> None:
    """A waistband and folds; ``detail`` is its length."""
    hem = 120 if detail == "Maxi" else 92
    c.piece((32, 28), (68, 28), (90, hem), (10, hem))
    c.patch((32, 24), (68, 24), (69, 33), (31, 33), fill=shade(c.colour, 0.6))
    for x in (-14, 0, 14):
        c.seam((50 + x * 0.6, 34), (50 + x * 1.9, hem - 1), width=0.8)


def trousers(c: Canvas, detail: str) -> None:
    """Two long legs; ``detail`` is their cut."""
    if detail == "Flared":
        c.piece(
            (33, 12),
            (67, 12),
            (68, 44),
            (66, 84),
            (88, 126),
            (57, 126),
            (50, 56),
            (43, 126),
            (12, 126),
            (34, 84),
            (32, 44),
        )
    else:
        c.piece((31, 12), (69, 12), (72, 44), (74, 126), (57, 126), (50, 50), (43, 126), (26, 126), (28, 44))
    _waist(c, 12)


def shorts(c: Canvas, detail: str) -> None:
    """Two short legs; ``detail`` says whether they have side pockets."""
    c.piece((28, 34), (72, 34), (80, 92), (54, 94), (50, 66), (46, 94), (20, 92))
    _waist(c, 34)
    if detail == "Cargo":
        for left in (23, 63):
            c.patch((left, 66), (left + 14, 66), (left + 14, 82), (left, 82), fill=shade(c.colour, 0.75))
            c.seam((left, 70), (left + 14, 70), width=1)


def _waist(c: Canvas, top: float) -> None:
    c.patch((30, top - 3), (70, top - 3), (70.5, top + 5), (29.5, top + 5), fill=shade(c.colour, 0.7))
    c.seam((50, top + 5), (50, top + 22), width=1)
    c.disc(50, top + 1, 1.8, fill=contrast(c.colour))


def casual_shoe(c: Canvas, detail: str) -> None:
    """A sole, laces, a side view; ``detail`` is the height of the shaft."""
    top = 30 if detail == "High Top" else 50
    c.piece((12, top), (36, top), (40, 58), (62, 66), (84, 74), (92, 84), (92, 92), (8, 92), (8, 70))
    c.patch((6, 90), (94, 90), (95, 98), (88, 102), (10, 102), (5, 98), fill=(236, 234, 228))
    c.seam((6, 90), (94, 90), (95, 98), (88, 102), (10, 102), (5, 98), (6, 90), fill=(120, 120, 120))
    for step in range(4):
        c.seam((40 + 7 * step, 66 + 3 * step), (48 + 7 * step, 58 + 4 * step), width=1.8, fill=contrast(c.colour))


def heel(c: Canvas, detail: str) -> None:
    """A pointed shoe on a heel, a side view; ``detail`` is the heel's form."""
    c.piece((10, 40), (24, 46), (40, 64), (58, 78), (88, 88), (94, 98), (58, 98), (36, 88), (18, 72), (10, 60))
    if detail == "Wedge":
        c.patch((10, 62), (20, 74), (38, 90), (58, 98), (10, 102), fill=shade(c.colour, 0.55))
    else:
        c.patch((10, 60), (19, 72), (15, 102), (11, 102), fill=shade(c.colour, 0.55))
    c.seam((36, 89), (58, 99), (94, 99), width=2.2, fill=shade(c.colour, 0.4))


def flip_flop(c: Canvas, detail: str) -> None:  # noqa: ARG001
    """A pair of soles with a thong each, seen from above."""
    strap = contrast(c.colour)
    for left in (12, 54):
        c.round_piece((left, 20, left + 34, 116), radius=17)
        c.seam((left + 3, 66), (left + 17, 44), (left + 31, 66), width=4, fill=strap)
        c.disc(left + 17, 42, 2.6, fill=strap)


def handbag(c: Canvas, detail: str) -> None:  # noqa: ARG001
    """A trapezium with a handle and a clasp."""
    c.arc((30, 18, 70, 84), 180, 360, width=4, fill=shade(c.colour, 0.6))
    c.piece((20, 50), (80, 50), (90, 108), (10, 108))
    c.seam((18, 62), (82, 62), width=1.4)
    c.patch((45, 58), (55, 58), (55, 68), (45, 68), fill=(214, 178, 82))


def backpack(c: Canvas, detail: str) -> None:  # noqa: ARG001
    """A tall round bag with a front pocket and straps."""
    c.arc((40, 12, 60, 34), 180, 360, width=3.4, fill=shade(c.colour, 0.5))
    c.round_piece((10, 52, 24, 104), radius=7)
    c.round_piece((76, 52, 90, 104), radius=7)
    c.round_piece((20, 22, 80, 116), radius=20)
    c.arc((26, 30, 74, 90), 190, 350, width=1.6)
    c.hollow((28, 72, 72, 108), radius=6, fill=shade(c.colour, 0.8), outline=c.line)
    c.seam((32, 82), (68, 82), width=2, fill=(206, 206, 206))


def watch(c: Canvas, detail: str) -> None:
    """A strap, a case and hands; ``detail`` is the case's form."""
    c.round_piece((38, 6, 62, 127), radius=6)
    steel, face = (178, 182, 188), (250, 250, 246)
    if detail == "Square Dial":
        for inset, fill in ((0, steel), (5, face)):
            box = (26 + inset, 42 + inset, 74 - inset, 91 - inset)
            c.hollow(box, radius=5, fill=fill, outline=(90, 90, 96))
    else:
        c.disc(50, 66.5, 28, fill=steel, outline=(90, 90, 96))
        c.disc(50, 66.5, 22.5, fill=face, outline=(90, 90, 96))
    c.seam((50, 66), (50, 51), width=2.2, fill=(30, 30, 30))
    c.seam((50, 66), (61, 72), width=2.2, fill=(30, 30, 30))
    c.disc(50, 66, 2.2, fill=c.colour, outline=(30, 30, 30))


def sunglasses(c: Canvas, detail: str) -> None:
    """Two lenses and a bridge; ``detail`` is the lenses' form."""
    lens = (52, 54, 62)
    for left, right in ((8, 46), (54, 92)):
        radius = None if detail == "Round" else 7
        c.round_piece((left, 48, right, 86 if radius is None else 80), radius=radius)
        c.hollow((left + 5, 53, right - 5, 81 - (0 if radius is None else 6)), radius=radius and 4, fill=lens)
    # A little darker than the frame, so that white glasses are seen on white paper.
    side = shade(c.colour, 0.8)
    c.arc((42, 54, 58, 70), 190, 350, width=4, fill=side)
    c.seam((8, 60), (2, 54), width=4, fill=side)
    c.seam((92, 60), (98, 54), width=4, fill=side)


def cap(c: Canvas, detail: str) -> None:  # noqa: ARG001
    """A dome and a brim."""
    c.dome((16, 32, 76, 116))
    c.arc((34, 32, 58, 116), 180, 360, width=1)
    c.patch((16, 74), (76, 74), (97, 84), (94, 90), (60, 84), (16, 82), fill=shade(c.colour, 0.65))
    c.disc(46, 32, 2.6, fill=shade(c.colour, 0.6))
