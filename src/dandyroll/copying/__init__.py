"""Copying the images of one home into another, and comparing the two. Knows no home."""
