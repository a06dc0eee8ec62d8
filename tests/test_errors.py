"""The error tree: flat, each code once, every class in the drawing at the top of its file."""

import re

from dandyroll import errors


def test_the_tree_is_flat_and_its_codes_are_unique() -> None:
    assert all(error.__bases__ == (errors.DandyrollError,) for error in errors.ALL)
    assert len({error.code for error in errors.ALL}) == len(errors.ALL)


def test_the_drawing_names_every_class_under_its_status() -> None:
    lines = re.findall(r"[├└]─ (.*?) +(\d{3})$", errors.__doc__ or "", re.M)
    drawn = {(name, int(status)) for names, status in lines for name in names.split()}
    assert drawn == {(error.__name__, error.status) for error in errors.ALL}


def test_a_class_is_found_by_its_name() -> None:
    assert errors.named("CorruptImage") is errors.CorruptImage
    assert errors.named("ValueError") is None
