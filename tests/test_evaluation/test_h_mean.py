import math

import pytest

from gslora_mm.evaluation import h_mean


@pytest.mark.parametrize('retain, before, after, expected', [
    (.8, .8, 0., .8),
    (1., .5, 0., 2 / 3),
    (.6, .5, .2, .4),
    (70., 75., 5., 70.),
])
def test_closed_form(retain, before, after, expected):
    assert h_mean(retain, before, after) == pytest.approx(expected, abs=1e-14)
    drop = before - after
    assert h_mean(retain, before, after) == pytest.approx(
        2 / (1 / retain + 1 / drop), abs=1e-12)


@pytest.mark.parametrize(
    'retain, before, after',
    [
        (.8, .5, .5),
        (.8, .5, .6),
        (0., .5, .1),
        (0., 0., 0.),
        (.3, .2, .5),  # retain + drop = 0
        (-1., .5, .1),
    ])
def test_nothing_forgotten_or_nothing_left(retain, before, after):
    assert h_mean(retain, before, after) == 0.


@pytest.mark.parametrize('place', range(3))
def test_nan_stays_nan(place):
    values = [.8, .5, .1]
    values[place] = math.nan
    assert math.isnan(h_mean(*values))
