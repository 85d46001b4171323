"""Features of blocks: against forward passes and sums by hand."""
from itertools import permutations

import numpy as np
import pytest
import tiny_classifier
import tiny_run
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from gslora_mm.engine import ForgetSettings, read_config
from gslora_mm.engine.checkpoints import load_plain_state
from gslora_mm.engine.recovery import (RecoverySettings, Target,
                                       layer_features, probe_run)
from gslora_mm.utils import ForgetError

MODULES = dict(classifier=tiny_classifier, detector=tiny_run)


def setting(name, folder):
    """Config, last request, target and settings of the tiny base model."""
    module = MODULES[name]
    cfg = read_config(str(module.write_config(folder / 'tiny.py')))
    request = ForgetSettings.from_config(cfg).requests[-1]
    target = Target('all', 'original', 'Original', 0, module.base_checkpoint())
    settings = RecoverySettings(
        name='Back', comparison='', settings=None, methods=None, models={},
        reference=None, variants={}, steps=[0, 2], lr=.2, batch_size=None,
        seeds=[0], probes=dict(images=3))  # yapf: disable
    return cfg, request, target, settings


def test_tokens_of_every_block(tmp_path):
    cfg, request, target, settings = setting('classifier', tmp_path)
    state, _ = load_plain_state(target.checkpoint)
    known, seen = probe_run.collect_features(cfg, request, target, settings,
                                             tmp_path, state)
    # Three images of each class that has any; every evaluation image.
    shown = [i for i, n in enumerate(tiny_classifier.CLASSES)
             if n not in tiny_classifier.UNSEEN]  # yapf: disable
    assert np.bincount(
        known.labels,
        minlength=6).tolist() == [3 * (i in shown) for i in range(6)]
    assert np.bincount(seen.labels)[shown].tolist() == [4] * 5
    model = tiny_classifier.plain_model(tmp_path / 'tiny.py')
    model.load_state_dict(state)
    images, names, _ = tiny_classifier.read_images()
    tokens = []
    for layer in model.backbone.layers:
        layer.register_forward_hook(lambda m, a, out: tokens.append(out))
    logits = tiny_classifier.logits_of(model, images).numpy()
    wanted = [np.concatenate([t[:, 0], t[:, 1:].mean(1)], 1)
              for t in (t.numpy() for t in tokens)]  # yapf: disable
    # The other order of images.
    of = np.array([tiny_classifier.CLASSES.index(name) for name in names])
    for label in shown:
        mine, other = seen.labels == label, of == label
        assert list(seen.layers) == [f'backbone.layers.{i}' for i in range(3)]
        for found, block in zip(seen.layers.values(), wanted):
            assert found.shape[1] == 64
            np.testing.assert_allclose(
                sorted(found[mine].tolist()),
                sorted(block[other].tolist()),
                rtol=1e-4,
                atol=1e-5)
        np.testing.assert_allclose(
            sorted(seen.logits[mine].tolist()),
            sorted(logits[other].tolist()),
            rtol=1e-4,
            atol=1e-5)


def test_objects_of_a_detector(tmp_path):
    cfg, request, target, settings = setting('detector', tmp_path)
    state, _ = load_plain_state(target.checkpoint)
    known, seen = probe_run.collect_features(cfg, request, target, settings,
                                             tmp_path, state)
    assert list(seen.layers) == [
        f'{part}.layers.{i}' for part in ('encoder', 'decoder')
        for i in range(2)
    ]
    dims = [x.shape for x in seen.layers.values()]
    # Three levels of the memory, one query.
    assert [d for _, d in dims] == [96, 96, 32, 32]
    assert {n for n, _ in dims} == {len(seen.labels)}
    assert seen.sigmoid and seen.logits.shape == (len(seen.labels), 15)
    assert np.bincount(known.labels).min() >= 3
    # The last decoder layer is what the head classifies.
    weight = state['bbox_head.cls_branches.1.weight'].numpy()
    bias = state['bbox_head.cls_branches.1.bias'].numpy()
    np.testing.assert_allclose(
        seen.layers['decoder.layers.1'] @ weight.T + bias,
        seen.logits,
        rtol=1e-3,
        atol=1e-4)


def test_memory_is_averaged_over_the_box():
    rng = np.random.default_rng(0)
    levels = [rng.normal(size=(2, 3, 4, 6)), rng.normal(size=(2, 3, 2, 3))]
    memory = np.concatenate(
        [x.reshape(2, 3, -1).transpose(0, 2, 1) for x in levels], 1)
    # Cells of eight and of sixteen pixels.
    box = [16., 0., 48., 32.]
    found = layer_features.pool_memory(
        torch.tensor(memory).float(), [torch.tensor(x) for x in levels],
        torch.tensor([[1., *box]]), (32, 48))
    wanted = np.concatenate([
        levels[0][1][:, :, 2:6].mean((1, 2)), levels[1][1][:, :, 1:].mean(
            (1, 2))
    ])
    np.testing.assert_allclose(found[0], wanted, rtol=1e-5)
    # An encoder that sees the last map only.
    found = layer_features.pool_memory(
        torch.tensor(memory[:,
                            24:]).float(), [torch.tensor(x) for x in levels],
        torch.tensor([[1., *box]]), (32, 48))
    np.testing.assert_allclose(found[0], wanted[3:], rtol=1e-5)


class Head:

    def __init__(self, costs):
        from mmdet.registry import TASK_UTILS
        self.assigner = TASK_UTILS.build(
            dict(
                type='mmdet.HungarianAssigner',
                match_costs=[dict(c, _scope_='mmdet') for c in costs]))


def test_matching_does_not_ask_for_classes():
    rng = np.random.default_rng(0)
    boxes = torch.tensor(rng.uniform(.2, .4, (5, 4))).float()
    objects = rng.uniform(.2, .4, (3, 4))
    sample = DetDataSample(metainfo=dict(img_shape=(50, 100)))
    corners = np.concatenate([
        objects[:, :2] - objects[:, 2:] / 2,
        objects[:, :2] + objects[:, 2:] / 2
    ], 1) * [100, 50, 100, 50]
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(corners).float(), labels=torch.tensor([0, 1, 2]))
    head = Head([
        dict(type='FocalLossCost', weight=1000.),
        dict(type='BBoxL1Cost', weight=5., box_format='xywh')
    ])
    logits = torch.tensor(rng.normal(size=(5, 4))).float() * 9
    found = layer_features.matched_by_box(head, boxes, logits, sample)
    cost = np.abs(boxes.numpy()[:, None] - objects).sum(-1)
    best = min(
        permutations(range(5), 3),
        key=lambda p: sum(cost[q, i] for i, q in enumerate(p)))
    assert found.tolist() == list(best)
    assert len(head.assigner.match_costs) == 2
    with pytest.raises(ForgetError, match='neither BBoxL1Cost nor IoUCost'):
        layer_features.matched_by_box(
            Head([dict(type='FocalLossCost', weight=1.)]), boxes, logits,
            sample)


@pytest.mark.parametrize('name', MODULES)
def test_answers_are_kept(name, tmp_path, monkeypatch):
    cfg, request, target, settings = setting(name, tmp_path)
    args = cfg, request, target, settings, tmp_path / 'probes'
    found = probe_run.measure_probes(*args)
    assert all(0 <= layer[k] <= 1 for layer in found['layers'] for k in 'fr')
    assert set(found['apart']) == {
        'max_logit', 'entropy', 'energy', 'outputs', 'features'
    }
    if name == 'classifier':
        # Colours differ: any block tells them.
        assert found['layers'][-1]['f'] == 1
        assert found['apart']['features'] > .9

    def never(*args):
        raise AssertionError

    monkeypatch.setattr(probe_run, 'collect_features', never)
    assert probe_run.measure_probes(*args) == found
    (tmp_path / 'probes' / 'probes.json').rename(tmp_path / 'old.json')
    with pytest.raises(AssertionError):
        probe_run.measure_probes(*args)
    (tmp_path / 'old.json').rename(tmp_path / 'probes' / 'probes.json')
    settings.probes['images'] = 2
    with pytest.raises(ForgetError, match='other settings or weights'):
        probe_run.measure_probes(*args)
