"""Files of pictures to pixels, with Pillow.

A picture comes from anybody, so its size is looked at before it is decoded, and only formats that
people send are tried: a decoder that is not called has no faults.
"""

from __future__ import annotations

import io
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = ["FORMATS", "PICTURE_PIXELS_MAX", "PICTURE_SIDE_MAX", "BadPicture", "decode_picture"]

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF")
PICTURE_PIXELS_MAX: Final = 64_000_000
"""Of one picture; its pixels take four bytes each while it is decoded."""
PICTURE_SIDE_MAX: Final = 32_768

Pixels = npt.NDArray[np.uint8]

# Pillow's own guard only warns at its limit; `check_size` refuses, as soon as a header is read.
Image.MAX_IMAGE_PIXELS = None


class BadPicture(Exception):
    """The file is no picture, or one beyond the limits; the message says which."""


def decode_picture(data: bytes) -> Pixels:
    """The picture upright, as red, green and blue, shape [height, width, 3].

    An animation gives its first frame; what is transparent becomes white.
    """
    if not data:
        raise BadPicture("it is empty")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            check_size(*image.size)
            return pixels(image)
    except BadPicture:
        raise
    except UnidentifiedImageError as error:
        raise BadPicture(f"it is none of {', '.join(FORMATS)}") from error
    except MemoryError as error:
        raise BadPicture("there is no memory for its pixels") from error
    except Exception as error:
        # A decoder that meets a broken file raises whatever it ran into.
        raise BadPicture(f"it is damaged: {error}") from error


def check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise BadPicture(f"it has {width} x {height} pixels")
    if width * height > PICTURE_PIXELS_MAX:
        raise BadPicture(
            f"it has {width} x {height} pixels, and the limit is {PICTURE_PIXELS_MAX} in all"
        )
    if max(width, height) > PICTURE_SIDE_MAX:
        raise BadPicture(
            f"it has {width} x {height} pixels, and the limit is {PICTURE_SIDE_MAX} for a side"
        )


def pixels(image: Image.Image) -> Pixels:
    if image.mode.startswith("I"):  # 16 bits of grey, which a conversion would cut off at 255
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        image = Image.fromarray(grey)
    else:
        image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.ascontiguousarray(image.convert("RGB"))
