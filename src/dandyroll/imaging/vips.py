"""libvips, set up once for the whole process. Import `pyvips` from here, never by itself.

One picture never gains from a second thread, so pictures run side by side instead: libvips
gets one thread. Its operation cache is of no use where no picture comes twice, and would hold
strangers' pixels in memory. Only the loaders of the formats we take are let through: a file
that pretends to be something else meets no further decoder.
"""

import logging
import os

os.environ["VIPS_CONCURRENCY"] = "1"  # read when the library is loaded, hence before the import
os.environ["VIPS_WARNING"] = "0"  # its warnings are about strangers' files: neither to stderr
logging.getLogger("pyvips").setLevel(logging.ERROR)  # nor, as pyvips passes them on, to the log

import pyvips  # noqa: E402

LOADERS = ("Jpeg", "Png", "Webp", "Tiff")
"""TIFF is what one stage hands to the next; `header.py` never lets an upload get that far."""

DECODE_ERRORS = (pyvips.Error, UnicodeDecodeError)
"""What a hostile file can make pyvips raise; the second where a message quotes its bytes."""

pyvips.concurrency_set(1)  # in case somebody loaded the library before us
pyvips.cache_set_max(0)
pyvips.operation_block_set("VipsForeignLoad", True)
for _loader in LOADERS:
    pyvips.operation_block_set(f"VipsForeignLoad{_loader}", False)

__all__ = ["DECODE_ERRORS", "LOADERS", "pyvips"]
