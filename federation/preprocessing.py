"""From a picture's bytes to the tower's input: pad to a square on white, then resize."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from federation.errors import ImageError
from federation.views import view_of

MAX_PIXELS = 25_000_000
WHITE = (255, 255, 255)


def square(image: Image.Image, size: int) -> Image.Image:
    """Fit ``image`` into a white ``size`` × ``size`` square, aspect kept, nothing cropped.

    Product photos stand upright on white: a centre crop would cut the soles off shoes.
    """
    scale = size / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    canvas = Image.new("RGB", (size, size), WHITE)
    canvas.paste(image.resize((width, height), Image.Resampling.BICUBIC), ((size - width) // 2, (size - height) // 2))
    return canvas


def decode(data: bytes) -> Image.Image:
    """Decode picture bytes to RGB; transparency becomes white.

    Raises:
        ImageError: unreadable, truncated, or more than 25 megapixels.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as image:
            # Check before load(): a small file can unfold into gigabytes.
            if image.width * image.height > MAX_PIXELS:
                raise ImageError(f"The picture has {image.width}×{image.height} px.", hint="At most 25 megapixels.")
            if image.mode in ("RGBA", "LA", "P"):
                rgba = image.convert("RGBA")
                return Image.alpha_composite(Image.new("RGBA", rgba.size, (*WHITE, 255)), rgba).convert("RGB")
            return image.convert("RGB")
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        # Which of them Pillow uses, and from what size on, depends on settings that the whole process shares.
        raise ImageError(f"The picture is too large: {error}.", hint="At most 25 megapixels.") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"The picture cannot be read: {error}.", hint="Send a JPEG, PNG or WebP file.") from None


def pixels(image: bytes, *, size: int, image_sha256: str = "", view: int = 0) -> NDArray[np.uint8]:
    """Decode one picture and fit it into the tower's square.

    Returns:
        (size, size, 3) uint8.

    Raises:
        ImageError: it cannot be decoded.
    """
    fitted = square(decode(image), size)
    return np.asarray(view_of(fitted, image_sha256=image_sha256, view=view))
