"""`update-size`: make the picture fit the policy's box. Never enlarges."""

from dataclasses import replace

from dandyroll.imaging.picture import Picture
from dandyroll.imaging.resize import fit
from dandyroll.policy import Policy


def update_size(picture: Picture, policy: Policy) -> Picture:
    """The picture upright and inside `max_width_px` x `max_height_px`, its pixels computed.

    A file that cannot be decoded to its end is found out here: `CorruptImage`.
    """
    pixels = fit(picture.pixels, policy.max_width_px, policy.max_height_px, picture.frames)
    return replace(picture, pixels=pixels)
