"""`add-watermark`: lay the policy's mark over the picture."""

from dataclasses import replace

from dandyroll.imaging.mark import overlay
from dandyroll.imaging.picture import Picture
from dandyroll.policy import Policy


def add_watermark(picture: Picture, policy: Policy) -> Picture:
    """The picture with its mark, which knows the box that the mark covers."""
    pixels, box = overlay(picture.pixels, policy.mark, picture.frames)
    return replace(picture, pixels=pixels, mark=box)
