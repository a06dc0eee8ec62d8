"""Dandyroll: upload an image; get it back resized, watermarked and catalogued.

Start reading in `pipeline.py`.
"""

__version__ = "0.1.0"
