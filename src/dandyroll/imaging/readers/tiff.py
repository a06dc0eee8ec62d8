"""The directories of a TIFF: one a page, the first of which is the picture."""

from dandyroll.errors import CorruptImage, TruncatedImage, UnsupportedFormat
from dandyroll.imaging.readers import Structure
from dandyroll.imaging.readers.ifd import Directory, directories

_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _SAMPLES, _SAMPLE_FORMAT = 256, 257, 258, 262, 277, 339
_DATA = ((273, 279), (324, 325))  # offsets and lengths: of strips, of tiles
_GREY, _RGB, _PALETTE, _CMYK, _YCBCR = (0, 1), 2, 3, 5, 6
_UNSIGNED = 1


def read(data: bytes) -> Structure:
    """The first page's structure, and how many pages there are.

    Samples must be whole numbers of up to 16 bits, in grey, RGB, CMYK, YCbCr or a palette:
    `UnsupportedFormat` for others, which are data rather than pictures.
    """
    pages = directories(data)
    first = next(pages, None)
    if first is None:
        raise CorruptImage("The TIFF file has no page.")
    width, height = first.number(_WIDTH, 0), first.number(_HEIGHT, 0)
    if not width or not height:
        raise CorruptImage("The TIFF file's first page has no size.")
    bits, samples = first.number(_BITS, 1), first.number(_SAMPLES, 1)
    mode = _mode(first, bits, samples)
    ends = _ends(data, first)
    if not any(first.numbers(offsets) for offsets, _ in _DATA):
        raise CorruptImage("The TIFF file's first page has no pixels.")
    kind = "16-bit TIFF" if bits == 16 else "8-bit TIFF"
    count = 1
    try:
        for page in pages:
            count += 1
            ends &= _ends(data, page)
    except TruncatedImage:
        ends = False
    return Structure(width, height, mode, kind, ends, pages=count)


def _ends(data: bytes, page: Directory) -> bool:
    return all(
        at + length <= len(data)
        for offsets, lengths in _DATA
        for at, length in zip(page.numbers(offsets), page.numbers(lengths), strict=False)
    )


def _mode(page: Directory, bits: int, samples: int) -> str:
    """Pillow's name. Pillow opens 16-bit colour as 8-bit, and so names it."""
    photometric = page.number(_PHOTOMETRIC, -1)
    formats = set(page.numbers(_SAMPLE_FORMAT)) or {_UNSIGNED}
    every_bits = set(page.numbers(_BITS)) or {1}
    if formats != {_UNSIGNED} or every_bits != {bits} or bits not in (1, 2, 4, 8, 16):
        kind = f"format {sorted(formats)}, {sorted(every_bits)} bits"
        raise UnsupportedFormat(f"Expected a TIFF of whole numbers, 1 to 16 bits; got {kind}.")
    if photometric in _GREY and samples in (1, 2):
        grey = {1: "1", 16: "I;16"}.get(bits, "L")
        return grey if samples == 1 else "LA"
    if photometric == _PALETTE and samples == 1:
        return "P"
    if photometric in (_RGB, _YCBCR) and samples in (3, 4):
        return "RGB" if samples == 3 else "RGBA"
    if photometric == _CMYK and samples == 4:
        return "CMYK"
    raise UnsupportedFormat(
        "Expected a TIFF in grey, RGB, CMYK or a palette; "
        f"got photometric interpretation {photometric} with {samples} samples."
    )
