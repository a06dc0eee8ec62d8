"""The formats taken, by Pillow's names: their content types, extensions and file names."""

from pathlib import Path

CONTENT_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "HEIC": "image/heic",
    "SVG": "image/svg+xml",
}

EXTENSIONS = {
    "JPEG": "jpg",
    "PNG": "png",
    "WEBP": "webp",
    "GIF": "gif",
    "TIFF": "tif",
    "AVIF": "avif",
    "HEIC": "heic",
    "SVG": "svg",
}

RENDITIONS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")
"""What the others become one of."""

FORMATS = {content_type: name for name, content_type in CONTENT_TYPES.items()}
"""From a declared content type to the format it names."""

_SUFFIXES = {f".{extension}": name for name, extension in EXTENSIONS.items()}
_SUFFIXES |= {".jpeg": "JPEG", ".tiff": "TIFF", ".heif": "HEIC"}


def named_as_it_is(path: Path, content_type: str) -> Path:
    """The path for a picture of that type: with a further suffix if its own says otherwise.

    A JPEG that is to be `a.heic` becomes `a.heic.jpg`.
    """
    image_format = FORMATS[content_type]
    if _SUFFIXES.get(path.suffix.lower()) == image_format:
        return path
    return path.with_name(f"{path.name}.{EXTENSIONS[image_format]}")


def possible_names(path: Path) -> list[Path]:
    """All that `named_as_it_is` may make of a path for a rendition."""
    return [path, *(path.with_name(f"{path.name}.{EXTENSIONS[name]}") for name in RENDITIONS)]
