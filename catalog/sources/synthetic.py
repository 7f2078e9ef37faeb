"""``synthetic``: drawn products with names that describe them, for machines without a network.

Everything about a product follows from the seed and its id: the same seed gives the same bytes with the same Pillow.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw, ImageEnhance

from catalog.sources import canvas, shapes
from catalog.sources.palette import COLOURS, PATTERNS, Colour, shade
from catalog.sources.rows import RawRow

DEFAULT_PRODUCTS = 1500
FIRST_ID = 1001
WIDTH, HEIGHT = 96, 128
# Drawn larger and shrunk: Pillow's drawing has no anti-aliasing of its own.
SCALE = 2
REPEATED = 0.3
"""Share of products that bear the name of an earlier one, as in real catalogues."""
BRANDS = ("Alba", "Brisa", "Cumbre", "Faro", "Lienzo", "Mareo", "Norte", "Sauce")
SEASONS = ("Summer", "Fall", "Winter", "Spring")
USAGES = ("Casual", "Sports", "Formal", "Party")


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of product: its place in the catalogue's categories, how it is drawn, what tells two of it apart."""

    noun: str
    master_category: str
    sub_category: str
    article_type: str
    draw: shapes.Shape
    details: tuple[str, ...] = ("",)
    genders: tuple[str, ...] = ("Men", "Women")
    patterns: tuple[str, ...] = tuple(PATTERNS)


PLAIN = ("Solid",)
KINDS = (
    Kind("T-shirt", "Apparel", "Topwear", "Tshirts", shapes.tshirt, ("Round Neck", "V-Neck")),
    Kind("Shirt", "Apparel", "Topwear", "Shirts", shapes.shirt, ("Full Sleeve", "Half Sleeve")),
    Kind("Sweatshirt", "Apparel", "Topwear", "Sweatshirts", shapes.sweatshirt, ("Hooded", "Crew")),
    Kind("Dress", "Apparel", "Dress", "Dresses", shapes.dress, ("Maxi", "Short"), ("Women",)),
    Kind("Skirt", "Apparel", "Bottomwear", "Skirts", shapes.skirt, ("Maxi", "Short"), ("Women",)),
    Kind("Trousers", "Apparel", "Bottomwear", "Trousers", shapes.trousers, ("Straight", "Flared")),
    Kind("Shorts", "Apparel", "Bottomwear", "Shorts", shapes.shorts, ("Cargo", "Plain")),
    Kind("Casual Shoes", "Footwear", "Shoes", "Casual Shoes", shapes.casual_shoe, ("High Top", "Low Top")),
    Kind("Heels", "Footwear", "Shoes", "Heels", shapes.heel, ("Stiletto", "Wedge"), ("Women",), ("Solid", "Polka Dot")),
    Kind("Flip Flops", "Footwear", "Flip Flops", "Flip Flops", shapes.flip_flop),
    Kind("Handbag", "Accessories", "Bags", "Handbags", shapes.handbag, genders=("Women",)),
    Kind("Backpack", "Accessories", "Bags", "Backpacks", shapes.backpack, genders=("Unisex",)),
    Kind("Watch", "Accessories", "Watches", "Watches", shapes.watch, ("Round Dial", "Square Dial"), patterns=PLAIN),
    Kind("Sunglasses", "Accessories", "Eyewear", "Sunglasses", shapes.sunglasses, ("Round", "Square"), patterns=PLAIN),
    Kind("Cap", "Accessories", "Headwear", "Caps", shapes.cap, genders=("Unisex",)),
)


@dataclass(frozen=True, slots=True)
class Design:
    """What a product looks like, and so what it is called."""

    kind: Kind
    brand: str
    gender: str
    colour: str
    pattern: str
    detail: str

    @property
    def name(self) -> str:
        """``Brisa Women Striped Navy Blue V-Neck T-shirt``."""
        pattern = "" if self.pattern == "Solid" else self.pattern
        return " ".join(f"{self.brand} {self.gender} {pattern} {self.colour} {self.detail} {self.kind.noun}".split())


class SyntheticSource:
    """``products`` drawn products with ids from 1001; the first of them do not depend on how many there are."""

    spec = "synthetic"
    dataset = "synthetic"

    def __init__(self, products: int = DEFAULT_PRODUCTS, *, seed: int = 0) -> None:
        self.expected: int | None = products
        self._products = products
        self._seed = seed

    def __iter__(self) -> Iterator[RawRow]:
        for number in range(self._products):
            yield self._row(number)

    def design(self, number: int) -> Design:
        """The design of product ``number``, from 0; three in ten repeat an earlier one."""
        chance = self._random("repeat", number)
        if number and chance.random() < REPEATED:
            number = chance.randrange(number)
        choose = self._random("design", number).choice
        kind = choose(KINDS)
        return Design(
            kind=kind,
            brand=choose(BRANDS),
            gender=choose(kind.genders),
            colour=choose(tuple(COLOURS)),
            pattern=choose(kind.patterns),
            detail=choose(kind.details),
        )

    def _row(self, number: int) -> RawRow:
        design, chance = self.design(number), self._random("product", number)
        return RawRow(
            row=number + 1,
            id=str(FIRST_ID + number),
            gender=design.gender,
            master_category=design.kind.master_category,
            sub_category=design.kind.sub_category,
            article_type=design.kind.article_type,
            base_colour=design.colour,
            season=chance.choice(SEASONS),
            year=str(chance.randrange(2012, 2020)),
            usage=chance.choice(USAGES),
            product_display_name=design.name,
            image=draw(design, chance),
        )

    def _random(self, *of: object) -> random.Random:
        return random.Random(":".join(map(str, (self._seed, *of))))  # noqa: S311


def draw(design: Design, chance: random.Random) -> bytes:
    """A JPEG of 96×128 px; ``chance`` shifts, scales and lights it, so that no two products are the same picture."""
    size = (WIDTH * SCALE, HEIGHT * SCALE)
    colour = shade(COLOURS[design.colour], chance.uniform(0.92, 1.08))
    mask, over = Image.new("L", size, 0), Image.new("RGBA", size, (0, 0, 0, 0))
    unit = size[0] / canvas.WIDTH
    design.kind.draw(canvas.Canvas(ImageDraw.Draw(mask), ImageDraw.Draw(over), colour, unit), design.detail)
    _label(over, mask, design, colour, unit)
    paper = chance.randrange(246, 256)
    picture = Image.new("RGB", size, (paper, paper, paper))
    picture.paste(PATTERNS[design.pattern](size, colour), mask=mask)
    picture.paste(over, mask=over.getchannel("A"))
    return _photograph(picture, chance, paper, smaller=design.gender == "Women")


def _label(over: Image.Image, mask: Image.Image, design: Design, colour: Colour, unit: float) -> None:
    """The brand's mark, a dot of the brand's own colour, where there is cloth for it."""
    mark = Image.new("L", over.size, 0)
    ImageDraw.Draw(mark).ellipse([coordinate * unit for coordinate in (62, 70, 70, 78)], fill=255)
    fill = list(COLOURS.values())[3 + BRANDS.index(design.brand)]
    over.paste(fill if fill != colour else (255, 255, 255), mask=ImageChops.multiply(mark, mask))


def _photograph(picture: Image.Image, chance: random.Random, paper: int, *, smaller: bool) -> bytes:
    """Place the drawing as a camera would: a little off centre, turned, nearer or farther, brighter or darker."""
    nearness = chance.uniform(0.8, 0.9) if smaller else chance.uniform(0.9, 1.0)
    width, height = round(WIDTH * nearness), round(HEIGHT * nearness)
    small = picture.resize((width, height), Image.Resampling.BOX)
    small = small.rotate(chance.uniform(-4, 4), Image.Resampling.BILINEAR, fillcolor=(paper, paper, paper))
    photo = Image.new("RGB", (WIDTH, HEIGHT), (paper, paper, paper))
    photo.paste(small, (chance.randint(0, WIDTH - width), chance.randint(0, HEIGHT - height)))
    photo = ImageEnhance.Brightness(photo).enhance(chance.uniform(0.95, 1.0))
    stream = io.BytesIO()
    photo.save(stream, "JPEG", quality=88)
    return stream.getvalue()
