"""Pictures: of constant size, whatever is drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwright.envs.core import (
    Box,
    Canvas,
    ImagePanel,
    draw_bars,
    draw_gauges,
    draw_lines,
    draw_table,
    number,
)
from beamwright.envs.core.palette import ACCENT, GOOD

ANY = st.floats(allow_nan=False, allow_infinity=False, width=32)
MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (12.345, "nm", "12.3 nm"),
        (-0.00031, "", f"{MINUS}0.00031"),
        (1234.5, "nm", "1234 nm"),
        (-12345.0, "", f"{MINUS}12.3k"),
        (1.25e6, "e-", "1.25M e-"),
        (2e9, "", "2G"),
        (-0.0, "s", "0 s"),
        (math.nan, "", "nan"),
    ],
)
def test_quantities_are_short(value: float, unit: str, text: str) -> None:
    assert number(value, unit) == text


def test_boxes_fill_their_place() -> None:
    box = Box(10, 20, 210, 100)
    rows = box.rows(1, 3, gap=20)
    assert [(row.top, row.height) for row in rows] == [(20, 20), (60, 60)]
    columns = box.columns(1, 1, gap=10)
    assert [(column.left, column.width) for column in columns] == [(10, 100), (120, 100)]
    assert columns[-1].right == box.right
    assert rows[-1].bottom == box.bottom


def test_an_image_is_shown_where_it_is_with_its_overlay() -> None:
    canvas = Canvas(320, 320)
    image = np.zeros((8, 8))
    image[0, 0], image[3, 4] = np.nan, 1.0
    panel = ImagePanel(canvas, Box(0, 0, 320, 320), image, limits=(0, 1))
    bare = canvas.picture()
    place = panel._place
    pixel = place.height / 8
    centre = int(place.top + 3.5 * pixel), int(place.left + 4.5 * pixel)
    assert bare[centre].tolist() == [255, 255, 255]
    assert bare[centre[0], int(centre[1] + pixel)].tolist() == [0, 0, 0]
    assert bare[int(place.top) + 5, int(place.left) + 5].tolist() != [0, 0, 0], (
        "what is not known is not black"
    )
    panel.points([(3, 4)], radius=4)
    assert canvas.picture()[centre].tolist() == list(ACCENT)


def test_overlays_change_the_picture() -> None:
    for draw in (
        lambda panel: panel.path([(0, 0), (5, 7), (2, 3)]),
        lambda panel: panel.marker((4, 4)),
        lambda panel: panel.arrow((1, 1), (6, 6)),
        lambda panel: panel.rectangle(1, 1, 3, 4),
    ):
        canvas = Canvas(200, 200)
        panel = ImagePanel(canvas, canvas.body, np.zeros((8, 8)), pixel_size=0.1)
        before = canvas.picture()
        draw(panel)
        assert (canvas.picture() != before).any()


@settings(max_examples=25, deadline=None)
@given(values=st.lists(ANY | st.just(math.nan), min_size=1, max_size=6), log=st.booleans())
def test_any_numbers_can_be_drawn(values: list[float], log: bool) -> None:
    canvas = Canvas(480, 320, title="title", note="note")
    first, second = canvas.body.rows(1, 1)
    left, right = first.columns(1, 1)
    draw_lines(canvas, left, {"a": values, "b": values[::-1]}, title="history", log=log, good=(0, 1))
    finite = np.nan_to_num(values, posinf=0, neginf=0)
    draw_bars(canvas, right, [f"C{index}" for index in range(len(values))], finite, tolerances=1.0, unit="nm")
    third, fourth, fifth = second.columns(1, 1, 1)
    draw_gauges(canvas, third, {"electrons": (finite[0], abs(finite[0]), "e")})
    draw_table(canvas, fourth, {"dose": number(finite[0]), "state": ("aligned", GOOD)})
    ImagePanel(canvas, fifth, np.array(values)[None], title="image", colours="viridis", unit="e")
    picture = canvas.picture()
    assert picture.shape == (320, 480, 3)
    assert picture.dtype == np.uint8


def test_colours_can_be_drawn_as_they_are() -> None:
    canvas = Canvas(200, 200)
    panel = ImagePanel(canvas, canvas.body, np.full((4, 4, 3), (10, 200, 30), np.uint8))
    place = panel._place
    assert canvas.picture()[int(place.top + 20), int(place.left + 20)].tolist() == [10, 200, 30]


def test_bars_beyond_their_limits_stay_in_their_lane() -> None:
    boxes = []
    for value in (10.0, 1000.0):
        canvas = Canvas(400, 100)
        draw_bars(canvas, canvas.body, ["C10"], [value], limits=10.0)
        boxes.append(canvas.picture()[:, :300])  # without the number
    assert (boxes[0] == boxes[1]).all()
