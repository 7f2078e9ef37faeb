"""Where products are drawn: a mask that cloth will fill, and a layer of details over it."""

from __future__ import annotations

from dataclasses import dataclass, field

from PIL import ImageDraw

from catalog.sources.palette import Colour, shade

Point = tuple[float, float]
Box = tuple[float, float, float, float]
WIDTH = 100


@dataclass
class Canvas:
    """Draws pieces into the mask that cloth fills, and details over the cloth; ``unit`` pixels to a unit."""

    mask: ImageDraw.ImageDraw
    over: ImageDraw.ImageDraw
    colour: Colour
    unit: float
    line: Colour = field(init=False)

    def __post_init__(self) -> None:
        self.line = shade(self.colour, 0.6) if sum(self.colour) > 150 else (96, 96, 104)

    def piece(self, *points: Point) -> None:
        """A polygon of cloth with a seam around it."""
        scaled = self._scaled(points)
        self.mask.polygon(scaled, fill=255)
        self.over.line([*scaled, scaled[0]], fill=self.line, width=self._width(0.9), joint="curve")

    def round_piece(self, box: Box, *, radius: float | None = None) -> None:
        """An ellipse of cloth, or a rectangle with round corners."""
        scaled = self._box(box)
        if radius is None:
            self.mask.ellipse(scaled, fill=255)
            self.over.ellipse(scaled, outline=self.line, width=self._width(0.9))
        else:
            self.mask.rounded_rectangle(scaled, radius * self.unit, fill=255)
            self.over.rounded_rectangle(scaled, radius * self.unit, outline=self.line, width=self._width(0.9))

    def seam(self, *points: Point, width: float = 1, fill: Colour | None = None) -> None:
        """A line over the cloth."""
        self.over.line(self._scaled(points), fill=fill or self.line, width=self._width(width), joint="curve")

    def patch(self, *points: Point, fill: Colour) -> None:
        """A polygon over the cloth."""
        self.over.polygon(self._scaled(points), fill=fill)

    def disc(self, x: float, y: float, radius: float, *, fill: Colour, outline: Colour | None = None) -> None:
        """A disc over the cloth."""
        box = self._box((x - radius, y - radius, x + radius, y + radius))
        self.over.ellipse(box, fill=fill, outline=outline, width=self._width(1))

    def arc(self, box: Box, start: float, end: float, *, width: float, fill: Colour | None = None) -> None:
        """A part of an ellipse over the cloth, in degrees clockwise from the right."""
        self.over.arc(self._box(box), start, end, fill=fill or self.line, width=self._width(width))

    def hollow(self, box: Box, *, radius: float | None, fill: Colour, outline: Colour | None = None) -> None:
        """An ellipse, or a rectangle with round corners, over the cloth."""
        scaled, width = self._box(box), self._width(1)
        if radius is None:
            self.over.ellipse(scaled, fill=fill, outline=outline, width=width)
        else:
            self.over.rounded_rectangle(scaled, radius * self.unit, fill=fill, outline=outline, width=width)

    def half_disc(self, box: Box, *, fill: Colour) -> None:
        """The lower half of an ellipse over the cloth."""
        self.over.pieslice(self._box(box), 0, 180, fill=fill)

    def dome(self, box: Box) -> None:
        """The upper half of an ellipse of cloth."""
        self.mask.pieslice(self._box(box), 180, 360, fill=255)
        self.arc(box, 180, 360, width=1)

    def _scaled(self, points: tuple[Point, ...]) -> list[Point]:
        return [(x * self.unit, y * self.unit) for x, y in points]

    def _box(self, box: Box) -> Box:
        left, top, right, bottom = box
        return left * self.unit, top * self.unit, right * self.unit, bottom * self.unit

    def _width(self, units: float) -> int:
        return max(1, round(units * self.unit))
