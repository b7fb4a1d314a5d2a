"""Colours of classes."""

from attnzoo.palette import colour, flat


def test_background_is_black_and_ignored_is_grey() -> None:
    assert colour(0) == (0, 0, 0)
    assert len(set(colour(255))) == 1


def test_the_first_classes_have_colours_of_their_own() -> None:
    colours = [colour(index) for index in (*range(22), 255)]
    assert len(set(colours)) == len(colours)
    assert all(0 <= channel <= 255 for each in colours for channel in each)


def test_the_flat_palette_is_what_pillow_wants() -> None:
    assert len(flat()) == 768
    assert tuple(flat()[3:6]) == colour(1)
    assert tuple(flat()[-3:]) == colour(255)
