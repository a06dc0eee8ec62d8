"""The formats taken, by Pillow's names: their content types and extensions."""

CONTENT_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}

EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}

FORMATS = {content_type: name for name, content_type in CONTENT_TYPES.items()}
"""From a declared content type to the format it names."""
