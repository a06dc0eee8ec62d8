"""The least that does the job: the recipe our pipeline is held against.

Decode no more than needed, resize, lay the mark over its corner, encode. None of the product's
checks: a cut or animated file, too many pixels, a lying profile or a lost transparent pixel go
unnoticed here. What the pipeline costs beyond this is the price of keeping its promises.
"""

from collections.abc import Callable

from dandyroll.imaging.vips import pyvips
from dandyroll.policy import Policy


def make_reference(policy: Policy) -> Callable[[bytes], bytes]:
    """A function from a JPEG, PNG or WebP file to its rendition, for a square box."""
    assert policy.max_width_px == policy.max_height_px
    box, mark, encoding = policy.max_width_px, policy.mark, policy.encoding
    whole_mark = pyvips.Image.pngload_buffer(mark.png).copy_memory()
    marks: dict[int, tuple[pyvips.Image, pyvips.Image, pyvips.Image]] = {}

    def mark_at(width: int) -> tuple[pyvips.Image, pyvips.Image, pyvips.Image]:
        if width not in marks:
            height = max(1, round(width * whole_mark.height / whole_mark.width))
            small = whole_mark.thumbnail_image(width, height=height, size="force").copy_memory()
            marks[width] = (small, small[:3].copy_memory(), small[3].copy_memory())
        return marks[width]

    def fitted(data: bytes) -> pyvips.Image:
        if not data.startswith(b"\xff\xd8"):
            is_png = data.startswith(b"\x89PNG")
            load = pyvips.Image.pngload_buffer if is_png else pyvips.Image.webpload_buffer
            profile = output_profile(load(data))
            return pyvips.Image.thumbnail_buffer(data, box, height=box, size="down", **profile)
        header = pyvips.Image.jpegload_buffer(data)
        excess = max(header.width, header.height) / box
        shrink = next((by for by in (8, 4, 2) if excess >= by), 1)
        picture = pyvips.Image.jpegload_buffer(data, shrink=shrink, access="sequential")
        profile = output_profile(header)
        return picture.thumbnail_image(box, height=box, size="down", **profile)

    def render(data: bytes) -> bytes:
        picture = fitted(data)
        if picture.interpretation != "srgb":
            picture = picture.colourspace("srgb")
        width = max(1, round(picture.width * mark.scale_pct / 100))
        margin = round(picture.width * mark.margin_pct / 100)
        small, colours, alpha = mark_at(width)
        left, top = picture.width - width - margin, picture.height - small.height - margin
        corner = picture.crop(left, top, width, small.height)
        if picture.hasalpha():
            corner = corner.composite2(small, "over").cast("uchar")
        else:
            corner = alpha.ifthenelse(colours, corner, blend=True)
        picture = picture.insert(corner, left, top)
        if data.startswith(b"\xff\xd8"):
            return bytes(picture.jpegsave_buffer(Q=encoding.jpeg_quality, keep="none"))
        if data.startswith(b"\x89PNG"):
            level = encoding.png_compression
            return bytes(picture.pngsave_buffer(compression=level, filter="sub", keep="none"))
        effort = encoding.webp_effort
        return bytes(picture.webpsave_buffer(Q=encoding.webp_quality, effort=effort, keep="none"))

    return render


def output_profile(header: pyvips.Image) -> dict[str, str]:
    """Options that convert to sRGB where a profile says, by its name, that it is another."""
    if not header.get_typeof("icc-profile-data"):
        return {}
    profile = header.get("icc-profile-data")
    is_srgb = b"sRGB" in profile or "sRGB".encode("utf-16-be") in profile
    return {} if is_srgb else {"output_profile": "srgb"}
