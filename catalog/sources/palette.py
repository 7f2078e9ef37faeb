"""Colours and patterns of the drawn products."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "Black": (34, 34, 38),
    "White": (240, 240, 236),
    "Grey": (140, 143, 148),
    "Red": (200, 32, 44),
    "Pink": (240, 130, 170),
    "Orange": (240, 124, 28),
    "Yellow": (245, 208, 44),
    "Green": (40, 140, 68),
    "Teal": (20, 146, 150),
    "Blue": (44, 106, 204),
    "Navy Blue": (26, 38, 92),
    "Purple": (120, 52, 150),
    "Brown": (116, 72, 40),
    "Beige": (214, 190, 150),
}
DARK = 110


def shade(colour: Colour, factor: float) -> Colour:
    """The colour darker (below 1) or lighter (above 1)."""
    red, green, blue = (max(0, min(255, round(channel * factor))) for channel in colour)
    return red, green, blue


def contrast(colour: Colour) -> Colour:
    """A colour that is seen on this one."""
    luminance = 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]
    return (238, 236, 228) if luminance < DARK else shade(colour, 0.45)


def _solid(size: tuple[int, int], colour: Colour) -> Image.Image:
    return Image.new("RGB", size, colour)


def _striped(size: tuple[int, int], colour: Colour) -> Image.Image:
    cloth = Image.new("RGB", size, colour)
    draw = ImageDraw.Draw(cloth)
    for top in range(0, size[1], 18):
        draw.rectangle((0, top, size[0], top + 7), fill=contrast(colour))
    return cloth


def _checked(size: tuple[int, int], colour: Colour) -> Image.Image:
    cloth = Image.new("RGB", size, colour)
    draw = ImageDraw.Draw(cloth, "RGBA")
    band = (*contrast(colour), 130)
    for start in range(0, max(size), 24):
        draw.rectangle((start, 0, start + 9, size[1]), fill=band)
        draw.rectangle((0, start, size[0], start + 9), fill=band)
    return cloth


def _dotted(size: tuple[int, int], colour: Colour) -> Image.Image:
    cloth = Image.new("RGB", size, colour)
    draw = ImageDraw.Draw(cloth)
    for line, top in enumerate(range(4, size[1], 16)):
        for left in range(4 + 8 * (line % 2), size[0], 16):
            draw.ellipse((left - 4, top - 4, left + 4, top + 4), fill=contrast(colour))
    return cloth


def _floral(size: tuple[int, int], colour: Colour) -> Image.Image:
    cloth = Image.new("RGB", size, colour)
    draw = ImageDraw.Draw(cloth)
    petal = contrast(colour)
    for line, top in enumerate(range(11, size[1], 30)):
        for left in range(9 + 15 * (line % 2), size[0], 30):
            for across, down in ((-5, 0), (5, 0), (0, -5), (0, 5)):
                draw.ellipse((left + across - 5, top + down - 5, left + across + 5, top + down + 5), fill=petal)
            draw.ellipse((left - 3, top - 3, left + 3, top + 3), fill=COLOURS["Yellow"])
    return cloth


PATTERNS: dict[str, Callable[[tuple[int, int], Colour], Image.Image]] = {
    "Solid": _solid,
    "Striped": _striped,
    "Checked": _checked,
    "Polka Dot": _dotted,
    "Floral": _floral,
}
"""Name → draws (size, colour) of cloth; sizes suit a canvas of 192×256 px."""
