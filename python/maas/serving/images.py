"""Encoded images that clients send, to pixels. Pillow reads them: it is kept up against hostile files."""

from __future__ import annotations

import io

MAX_PIXELS = 1 << 24  # of an image whose size the model leaves free
MAX_SCANS = 100  # of a progressive JPEG; each goes over all pixels
# What Pillow turns into grey or RGB of 8 bits without loss but that of colour, alpha or ink.
MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}


def decode(data: bytes, channels: int, height: int, width: int) -> tuple[int, int, bytes]:
    """The pixels of a JPEG or PNG file as they are stored: not resized, not scaled, not turned by its EXIF data.

    Args:
        data: bytes of the file.
        channels: 1 for grey, 3 for RGB; colours are converted, alpha is dropped.
        height: int, what the file must have; -1 for any, up to `MAX_PIXELS` in all.
        width: int, likewise.

    Returns:
        `(height, width, pixels)`, the pixels as bytes, rows from the top, channels last.

    Raises:
        ValueError: if it is no such image, damaged, or has another size. The size is checked before pixels are decoded.
        ImportError: if Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("images need the extra 'image' on the server: pip install maas[image]") from error
    # Only the bytes of a JPEG are looked at: in a large PNG such pairs come by chance.
    if data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > MAX_SCANS:
        raise ValueError(f"a JPEG image may have at most {MAX_SCANS} scans, received more")
    try:
        image = Image.open(io.BytesIO(data), formats=("JPEG", "PNG"))
        columns, rows = image.size
        mode = image.mode
    except MemoryError:
        raise
    except Image.DecompressionBombError:
        raise ValueError(f"an image may have at most {MAX_PIXELS} pixels, received far more") from None
    except Exception:
        raise ValueError("an image must be a JPEG or PNG file, received something else") from None
    with image:
        if height not in (-1, rows) or width not in (-1, columns):
            want = " x ".join("any" if size < 0 else str(size) for size in (height, width))
            raise ValueError(f"an image must be {want} pixels (height x width), received {rows} x {columns}")
        if rows * columns > MAX_PIXELS and (height < 0 or width < 0):
            raise ValueError(f"an image may have at most {MAX_PIXELS} pixels, received {rows} x {columns}")
        if mode not in MODES:
            raise ValueError(f"an image must have 8 bits a channel, received mode {mode!r}")
        try:
            pixels = image.convert("L" if channels == 1 else "RGB").tobytes()
        except MemoryError:
            raise
        except Exception:
            raise ValueError("the image is damaged") from None
    return rows, columns, pixels
