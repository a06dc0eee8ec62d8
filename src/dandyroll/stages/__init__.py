"""The pipeline's stages, one file each, named as the workflow's states.

A stage is a pure function `(picture, policy) -> picture`. It knows no keys, no stores and no
home.
"""
