"""Files of pictures, good and bad, to pixels."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

Image = pytest.importorskip("PIL.Image")

from llamawire.worker.pictures import (  # noqa: E402
    FORMATS,
    PICTURE_PIXELS_MAX,
    BadPicture,
    decode_picture,
)

RED, BLUE = (255, 0, 0), (0, 0, 255)


def file(image: Any, format_: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format_, **options)
    return out.getvalue()


def two_colours(mode: str = "RGB") -> Any:
    """Red on the left, blue on the right; 32 pixels wide, 16 high."""
    image = Image.new("RGB", (32, 16), RED)
    image.paste(BLUE, (16, 0, 32, 16))
    return image.convert(mode)


def near(pixel: Any, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(pixel.astype(int) - colour).max() < 40)


@pytest.mark.parametrize("format_", FORMATS)
def test_each_format_is_read(format_: str) -> None:
    pixels = decode_picture(file(two_colours(), format_))
    assert pixels.shape == (16, 32, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert near(pixels[8, 4], RED)
    assert near(pixels[8, 28], BLUE)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16", "I"])
def test_every_mode_becomes_three_colours(mode: str) -> None:
    if mode.startswith("I"):
        image = Image.fromarray(np.full((16, 32), 0x8000, np.uint16))
    else:
        image = two_colours(mode)
    format_ = "JPEG" if mode == "CMYK" else "PNG"
    pixels = decode_picture(file(image, format_))
    assert pixels.shape == (16, 32, 3)
    if mode.startswith("I"):
        assert (pixels == 0x80).all()


def test_what_is_transparent_becomes_white() -> None:
    image = two_colours("RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    assert (decode_picture(file(image, "PNG")) == 255).all()
    palette = Image.new("P", (4, 4), 0)
    assert (decode_picture(file(palette, "GIF", transparency=0)) == 255).all()


def test_the_camera_s_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    pixels = decode_picture(file(two_colours(), "JPEG", exif=exif))
    assert pixels.shape == (32, 16, 3)
    assert near(pixels[4, 8], RED)
    assert near(pixels[28, 8], BLUE)


@pytest.mark.parametrize("format_", ["GIF", "WEBP"])
def test_an_animation_gives_its_first_frame(format_: str) -> None:
    first, second = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), BLUE)
    data = file(first, format_, save_all=True, append_images=[second], duration=100)
    assert near(decode_picture(data)[4, 4], RED)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is empty"),
        (b"GIF89a", "none of JPEG, PNG, WEBP, GIF|damaged"),
        (b"no picture at all", "none of JPEG, PNG, WEBP, GIF"),
        (b"%PDF-1.7", "none of JPEG"),
        (file(two_colours(), "BMP"), "none of JPEG"),
        (file(two_colours(), "PNG")[:60], "damaged"),
        (file(two_colours(), "JPEG")[:300], "damaged"),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(BadPicture, match=message):
        decode_picture(data)


def png_of(width: int, height: int) -> bytes:
    """A small file that says it is large, of one colour all over."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("width", "height", "message"),
    [
        (8001, 8000, f"8001 x 8000 pixels, and the limit is {PICTURE_PIXELS_MAX}"),
        (65535, 65535, f"{PICTURE_PIXELS_MAX}"),
        (2_000_000_000, 2_000_000_000, f"{PICTURE_PIXELS_MAX}"),
        (40_000, 2, "40000 x 2 pixels, and the limit is 32768 for a side"),
    ],
)
def test_a_picture_beyond_the_limits_is_refused_before_it_is_decoded(
    width: int, height: int, message: str
) -> None:
    with pytest.raises(BadPicture, match=message):
        decode_picture(png_of(width, height))


PICTURES = [file(two_colours(), format_) for format_ in FORMATS]


@settings(max_examples=150)
@given(
    st.sampled_from(PICTURES),
    st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=4)), max_size=6),
    st.integers(0, 2000),
)
def test_a_mutated_file_is_read_or_refused(
    data: bytes, changes: list[tuple[int, bytes]], end: int
) -> None:
    mutated = bytearray(data)
    for at, new in changes:
        at %= len(data)
        mutated[at : at + len(new)] = new
    try:
        pixels = decode_picture(bytes(mutated[: end or None]))
    except BadPicture:
        return
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
