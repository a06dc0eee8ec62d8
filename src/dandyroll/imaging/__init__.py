"""Pixels only: no keys, no stores, no settings. libvips through pyvips.

Every module here takes pyvips from `vips.py`, which sets the library up first.
"""
