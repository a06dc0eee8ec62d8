"""The formats taken, by Pillow's names: their content types and extensions."""

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

FORMATS = {content_type: name for name, content_type in CONTENT_TYPES.items()}
"""From a declared content type to the format it names."""
