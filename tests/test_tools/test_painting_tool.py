"""tools/analyze_painting.py: what is drawn, and what can be told."""
import numpy as np
import pandas as pd
import pytest
import tiny_classifier
import tiny_run
import torch
from tool_calls import call, error_of

from gslora_mm.datasets import Painter
from gslora_mm.engine import read_config
from gslora_mm.engine.painting_probe import (ORIGINAL, paired_boxes,
                                             probe_paintings)

_COUNTERFACTUAL = """
_base_ = {base!r}
forget = dict(
    method=dict(_delete_=True, type='CounterfactualTeacher'),
    painting=dict(fill='mean', margin=1))
"""


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp('painting')
    base = tiny_run.write_config(folder / 'base.py')
    path = folder / 'tiny.py'
    path.write_text(_COUNTERFACTUAL.format(base=str(base)))
    return path


def test_table_and_pictures(config, tmp_path, capsys):
    out = tmp_path / 'out'
    assert call('analyze_painting', config, '--out', out, '--fills', 'mean',
                'blend', 'tokens', '--pictures', 2) is None
    text = capsys.readouterr().out
    assert 'encoder.layers.1' in text and 'pairs of boxes' in text
    assert (out / 'painting.md').read_text().strip() in text
    table = pd.read_csv(out / 'painting.csv')
    assert list(
        table['fill'].unique()) == [ORIGINAL, 'mean', 'blend', 'tokens']
    # The same places, whatever is painted there.
    assert table['pairs'].nunique() == 1 and table['pairs'][0] > 5
    assert len(table) == 4 * 2 and table['auc'].between(0, 1).all()
    for name in ('painting.png', 'painting.pdf'):
        assert (out / name).stat().st_size > 5000


def test_pictures_are_painted_images(config):
    cfg = read_config(str(config))
    report = probe_paintings(cfg, ['mean'], images=4, pictures=3, number=2)
    assert len(report.pictures) == 3
    for picture in report.pictures:
        before, after = picture[ORIGINAL], picture['mean']
        changed = (before != after).any(-1)
        assert changed.any()
        outside = np.ones(changed.shape, bool)
        for x1, y1, x2, y2 in picture['boxes']:
            outside[max(0,
                        int(y1) - 1):int(np.ceil(y2)) + 1,
                    max(0,
                        int(x1) - 1):int(np.ceil(x2)) + 1] = False
        assert not changed[outside].any()
        assert before.dtype == after.dtype == np.uint8
        x1, y1, x2, y2 = picture['boxes'][-1].round().astype(int)
        inside = slice(y1, y2), slice(x1, x2)
        assert after[inside].std((0, 1)).max() < before[inside].std(
            (0, 1)).max()


def test_tokens_are_seen_by_the_encoder(config):
    """Its maps are filled, and the images are not."""
    cfg = read_config(str(config))
    report = probe_paintings(cfg, ['tokens'], images=8, pictures=1)
    assert set(report.pictures[0]) == {'image', 'boxes', ORIGINAL}
    found = {row['fill']: [] for row in report.rows}
    for row in report.rows:
        found[row['fill']].append(row['auc'])
    assert found[ORIGINAL] != found['tokens']


def test_pairs_are_apart_and_of_one_size():
    rng = np.random.default_rng(0)
    painted = torch.tensor([[5., 5., 20., 25.], [40., 40., 60., 58.],
                            [0., 0., 64., 60.], [30., 5., 40., 12.]])
    others = np.array([[33., 8., 50., 20.]])
    first, second = paired_boxes(painted[[0, 1, 3]], others, Painter(margin=2),
                                 (64, 64), rng)
    # The last one touches what stays.
    assert np.array_equal(first, painted[:2].numpy())
    np.testing.assert_allclose(second[:, 2:] - second[:, :2],
                               first[:, 2:] - first[:, :2])
    for x1, y1, x2, y2 in second:
        assert 0 <= x1 and 0 <= y1 and x2 <= 64 and y2 <= 64
        for a, b, c, d in [(3, 3, 22, 27), (38, 38, 62, 60), *others]:
            assert x2 <= a or c <= x1 or y2 <= b or d <= y1
    # There is no room beside one as large as the image.
    first, second = paired_boxes(painted[2:3], others[:0], Painter(), (64, 64),
                                 rng)
    assert first.shape == second.shape == (0, 4)


@pytest.mark.parametrize('args, message', [
    (('--fills', 'blnd'), "blnd is unknown; did you mean 'blend'"),
    (('--request', '3'), 'no request 3; the config has 2'),
    (('--images', '0'), '--images must be 1 or more'),
])
def test_bad_arguments(config, tmp_path, args, message):
    assert message in error_of('analyze_painting', config, '--out', tmp_path,
                               *args)


def test_config_that_paints_nothing(tmp_path):
    base = tiny_run.write_config(tmp_path / 'base.py')
    error = error_of('analyze_painting', base, '--out', tmp_path)
    assert 'paints nothing' in error and 'CounterfactualTeacher' in error


def test_classifier(tmp_path):
    base = tiny_classifier.write_config(tmp_path / 'base.py')
    error = error_of('analyze_painting', base, '--out', tmp_path)
    assert 'they have no boxes' in error
