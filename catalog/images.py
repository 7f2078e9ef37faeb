"""Pictures from outside, looked at before they are decoded and decoded before they are trusted."""

from __future__ import annotations

import io
import struct
import warnings

from PIL import Image, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP")
MIN_SIDE = 8
MAX_PIXELS = 25_000_000
MAX_ASPECT = 10

# Pillow's own limit, for code that forgets to ask here; it only warns, so `check_image` looks for itself.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS


class ImageUnusable(ValueError):
    """A picture cannot be used. ``reason`` is one of image_missing, image_unreadable, image_truncated, image_size."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def check_image(data: bytes | None) -> tuple[int, int]:
    """(width, height) in pixels of an encoded picture that decodes whole.

    Raises:
        ImageUnusable: there is none, it is no JPEG, PNG or WebP, it ends early, or its size is absurd.
    """
    if not data:
        raise ImageUnusable("image_missing", "no file" if data is None else "the file is empty")
    with warnings.catch_warnings():
        # Above the limit Pillow warns and, at twice the limit, raises: both mean the same here.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                # The header is read, the pixels are not: a bomb is refused while it is still small.
                _check_size(*image.size)
                image.load()
                return image.size
        except ImageUnusable:
            raise
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise ImageUnusable("image_size", f"more than {MAX_PIXELS:,} pixels") from None
        except UnidentifiedImageError:
            raise ImageUnusable("image_unreadable", f"no {', '.join(FORMATS)} file") from None
        # What Pillow's decoders raise on broken files, found by feeding them such files.
        except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, MemoryError) as error:
            reason = "image_truncated" if "truncated" in str(error).lower() else "image_unreadable"
            raise ImageUnusable(reason, str(error) or type(error).__name__) from None


def _check_size(width: int, height: int) -> None:
    is_absurd = (
        min(width, height) < MIN_SIDE
        or width * height > MAX_PIXELS
        or max(width, height) > MAX_ASPECT * min(width, height)
    )
    if is_absurd:
        raise ImageUnusable("image_size", f"image is {width}×{height} px")
