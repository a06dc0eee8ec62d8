"""libvips, set up once for the whole process. Import `pyvips` from here, never by itself.

One picture never gains from a second thread, so pictures run side by side instead: libvips
gets one thread. Its operation cache is of no use where no picture comes twice, and would hold
strangers' pixels in memory. Only the loaders of the formats we take are let through: a file
that pretends to be something else meets no further decoder.
"""

import os

os.environ["VIPS_CONCURRENCY"] = "1"  # read when the library is loaded, hence before the import
os.environ["VIPS_WARNING"] = "0"  # libvips warns about strangers' files, not about us

import pyvips

DECODE_ERRORS = (pyvips.Error, UnicodeDecodeError)
"""What a hostile file can make pyvips raise; the second where a message quotes its bytes."""

# pyvips would log the warnings all the same, and fails on stderr where one quotes odd bytes.
pyvips._remove_log_handler()
pyvips.concurrency_set(1)  # in case somebody loaded the library before us
pyvips.cache_set_max(0)
pyvips.operation_block_set("VipsForeignLoad", True)
for _format in ("Jpeg", "Png", "Webp", "Nsgif", "Tiff", "Heif"):  # SVG: draw_svg.py
    pyvips.operation_block_set(f"VipsForeignLoad{_format}", False)

__all__ = ["DECODE_ERRORS", "pyvips"]
