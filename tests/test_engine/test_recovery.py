"""Forgotten classes brought back: what changes, and what is measured."""
from dataclasses import replace

import baselines
import numpy as np
import pytest
import tiny_classifier
import tiny_run
import torch

from gslora_mm.engine import ForgetSettings, read_config
from gslora_mm.engine.checkpoints import load_plain_state
from gslora_mm.engine.recovery import (PrototypeRows, RecoverySettings, Target,
                                       measure)
from gslora_mm.engine.recovery.image_checks import check_images
from gslora_mm.engine.recovery.prototype_rows import prototype_rows
from gslora_mm.engine.runner import RequestRunner
from gslora_mm.utils import ForgetError, read_json

MODULES = dict(classifier=tiny_classifier, detector=tiny_run)


@pytest.fixture(scope='module', params=MODULES)
def filtered(request, tmp_path_factory):
    """A run of the output filter: its config, last request and folder."""
    folder = tmp_path_factory.mktemp(request.param)
    path, _ = baselines.run('output_filter', folder, MODULES[request.param])
    cfg = read_config(str(path))
    last = ForgetSettings.from_config(cfg).requests[-1]
    return cfg, last, folder / 'output_filter'


def target(run, seed=0):
    return Target('all', 'filter', 'Filter', seed,
                  run / 'request_02/merged.pth')


def settings(**changes):
    values = dict(
        name='Back', comparison='', settings=None, methods=None, models={},
        reference=None, variants={}, steps=[0, 2, 80], lr=.2, batch_size=None,
        seeds=[0])  # yapf: disable
    return RecoverySettings(**{**values, **changes})


def test_head_alone_learns_and_is_measured(filtered, tmp_path, monkeypatch):
    cfg, last, run = filtered
    trained, train = [], RequestRunner.train

    def watched(self):
        trained.append(train(self))

    monkeypatch.setattr(RequestRunner, 'train', watched)
    points = measure.measure_curve(cfg, last, target(run), {}, settings(),
                                   tmp_path / 'curve')
    first = points[0]['protocol']
    points = [p for p in points if p['protocol'] == first]
    assert [p['step'] for p in points] == [0, 2, 80]
    # Nothing has happened before the first step: what the run measured, of
    # all classes that are gone.
    report = read_json(run / 'request_02/report.json')
    gone = [*last.forgotten, *last.classes]
    known = report['all'][first]['per_class']
    if first == 'top1':
        assert points[0]['f'] == pytest.approx(
            np.mean([known[name] for name in gone]))
    assert points[0]['f'] == 0
    if first == 'top1':
        assert points[-1]['f'] > .6
    before, _ = load_plain_state(run / 'request_02/merged.pth')
    after = trained[0].state_dict()
    head = 'head.' if first == 'top1' else 'bbox_head.cls_branches.'
    changed = {k for k, v in before.items() if not torch.equal(v, after[k])}
    assert changed and all(k.startswith(head) for k in changed)
    assert not list((tmp_path / 'curve').glob('*.pth'))


@pytest.mark.parametrize('shots', [1, 2])
def test_whole_model_learns_from_few_images(tmp_path, monkeypatch, shots):
    path, _ = baselines.run('output_filter', tmp_path, tiny_classifier)
    cfg = read_config(str(path))
    last = ForgetSettings.from_config(cfg).requests[-1]
    watched, train = [], RequestRunner.train

    def watch(self):
        data = self.train_dataloader.dataset
        shown, read = [], type(data).__getitem__
        monkeypatch.setattr(
            type(data), '__getitem__',
            lambda data, i: shown.append(i) or read(data, i))
        watched[:] = train(self), data, shown
        return watched[0]

    monkeypatch.setattr(RequestRunner, 'train', watch)
    variant = dict(shots=shots, share=.5, train='all', lr=.01, steps=[0, 3, 6])
    points = measure.measure_curve(cfg, last,
                                   target(tmp_path / 'output_filter'), variant,
                                   settings(), tmp_path / 'curve')
    assert [p['step'] for p in points] == [0, 3, 6]
    model, data, shown = watched
    labels = [int(data.get_data_info(i)['gt_label']) for i in range(len(data))]
    gone = [tiny_classifier.CLASSES.index(name)
            for name in (*last.forgotten, *last.classes)]  # yapf: disable
    # So many of each forgotten class and, beside them, every other image.
    counts = np.bincount(labels, minlength=6)
    unseen = tiny_classifier.CLASSES.index(*tiny_classifier.UNSEEN)
    for label, count in enumerate(counts):
        wanted = shots if label in gone else tiny_classifier.TRAIN
        assert count == (0 if label == unseen else wanted)
    # Six batches of four, half of them few images.
    assert len(shown) == 24
    assert sum(labels[i] in gone for i in shown) == 12
    before, _ = load_plain_state(tmp_path / 'output_filter/request_02'
                                 '/merged.pth')
    after = model.state_dict()
    assert not torch.equal(before['backbone.layers.0.attn.qkv.weight'],
                           after['backbone.layers.0.attn.qkv.weight'])


def test_frozen_trunk_keeps_no_graph(filtered, tmp_path, monkeypatch):
    """What makes the retraining of a head cheap."""
    cfg, last, run = filtered
    seen, train = [], RequestRunner.train

    def watched(self):
        model = self.model
        for name in ('layers.0', 'layers.2', 'encoder', 'decoder'):
            for place, module in model.named_modules():
                if place.endswith(name):
                    module.register_forward_hook(lambda m, a, out: seen.append(
                        (m.training, out)))
        return train(self)

    monkeypatch.setattr(RequestRunner, 'train', watched)
    measure.measure_curve(cfg, last, target(run), {}, settings(steps=[0, 2]),
                          tmp_path / 'curve')
    tensors = [
        t for _, out in seen
        for t in (out if isinstance(out, tuple) else (out, ))
        if isinstance(t, torch.Tensor)
    ]
    assert tensors and not any(t.requires_grad for t in tensors)


def test_curve_is_measured_once(filtered, tmp_path, monkeypatch):
    cfg, last, run = filtered
    folder = tmp_path / 'curve'
    args = cfg, last, target(run), dict(images=2)
    points = measure.measure_curve(*args, settings(), folder)
    assert {p['step'] for p in points} == {0, 1}
    assert points[0]['f'] == 0

    def never(*args):
        raise AssertionError

    monkeypatch.setattr(measure, 'edit_request', never)
    assert measure.measure_curve(*args, settings(), folder) == points
    with pytest.raises(ForgetError, match='other settings or weights'):
        measure.measure_curve(*args, settings(lr=1.), folder)
    other = args[:3] + (dict(images=1), )
    with pytest.raises(ForgetError, match='other settings or weights'):
        measure.measure_curve(*other, settings(), folder)
    # Without the weights the rest decides.
    gone = target(run)
    gone = replace(gone, checkpoint=tmp_path / 'gone.pth')
    args = cfg, last, gone, dict(images=2)
    assert measure.measure_curve(*args, settings(), folder) == points
    with pytest.raises(ForgetError, match='other settings or weights'):
        measure.measure_curve(*args, settings(lr=1.), folder)
    with pytest.raises(ForgetError, match='gone.pth does not exist'):
        measure.measure_curve(*args, settings(), tmp_path / 'other')


def test_prototypes_bring_hidden_classes_back(tmp_path):
    """The features were never touched: few embeddings are enough."""
    path, _ = baselines.run('output_filter', tmp_path, tiny_classifier)
    cfg = read_config(str(path))
    last = ForgetSettings.from_config(cfg).requests[-1]
    points = measure.measure_curve(cfg, last,
                                   target(tmp_path / 'output_filter'),
                                   dict(images=4, mix=1.), settings(),
                                   tmp_path / 'curve')
    assert points[0]['f'] == 0 and points[-1]['f'] > .6


def test_rows_left_as_they_were_hide_classes(tmp_path):
    """A bias of -10000 outlives any training of the head."""
    path, _ = baselines.run('output_filter', tmp_path, tiny_classifier)
    cfg = read_config(str(path))
    last = ForgetSettings.from_config(cfg).requests[-1]
    for fresh in (True, False):
        points = measure.measure_curve(cfg, last,
                                       target(tmp_path / 'output_filter'),
                                       dict(fresh=fresh, shots=2), settings(),
                                       tmp_path / str(fresh))
        assert (points[-1]['f'] > .5) == fresh


def _unit(x):
    return x / np.linalg.norm(x)


@pytest.mark.parametrize('biased', [True, False])
def test_rows_against_numpy(biased):
    rng = np.random.default_rng(0)
    rows, bias = rng.normal(size=(5, 4)), rng.normal(size=5)
    means = {c: rng.normal(size=4) for c in (0, 1, 2, 4)}
    forgotten, retain, mix = [4, 1], [0, 2], .3
    found, found_bias = prototype_rows(
        torch.tensor(rows), torch.tensor(bias) if biased else None,
        {c: torch.tensor(m) for c, m in means.items()}, forgotten, retain,
        mix)  # yapf: disable
    size = (np.linalg.norm(rows[0]) + np.linalg.norm(rows[2])) / 2
    centre = (means[0] + means[2]) / 2 if biased else 0
    for place, c in enumerate(forgotten):
        mixed = mix * _unit(means[c] - centre) + (1 - mix) * _unit(rows[c])
        np.testing.assert_allclose(found[place], size * _unit(mixed))
        if biased:
            usual = (rows[0] @ means[0] + bias[0] + rows[2] @ means[2] +
                     bias[2]) / 2
            logit = found[place].numpy() @ means[c] + float(found_bias[place])
            np.testing.assert_allclose(logit, usual)
    assert biased or found_bias is None


@pytest.mark.parametrize('mix', [0, 1.5, True, 'all'])
def test_bad_mix(mix):
    with pytest.raises(ForgetError, match='mix of PrototypeRows'):
        PrototypeRows(mix)


@pytest.mark.parametrize('asked, key', [
    (lambda n: dict(variants={'few': dict(shots=n)}), 'variants.few: shots'),
    (lambda n: dict(variants={'few': dict(shots=n, share=.5, train='all')}),
     'variants.few: shots'),
    (lambda n: dict(variants={'means': dict(images=n, mix=.5)}),
     'variants.means: images'),
    (lambda n: dict(probes=dict(images=n)), 'probes: images'),
])  # yapf: disable
def test_more_images_than_there_are(tmp_path, asked, key):
    path, _ = baselines.run('output_filter', tmp_path, tiny_classifier)
    cfg = read_config(str(path))
    last = ForgetSettings.from_config(cfg).requests[-1]
    most = tiny_classifier.TRAIN
    check_images(cfg, last, settings(**asked(most)))
    with pytest.raises(ForgetError, match=f'recovery.{key}={most + 1} '):
        check_images(cfg, last, settings(**asked(most + 1)))
    check_images(cfg, last, settings(variants={'full': {}}))
