"""The wrapped detector is the plain detector, plus LoRA."""
import copy
import logging

import pytest
import torch
from detr_toys import (BLOCKS, SIZE, batch, build_forgetting, detections,
                       detector_cfg, forgetting_cfg, randomise_lora)
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.hub import get_config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

from gslora_mm.lora import is_lora_key, merge_state_dict, split_state_dict
from gslora_mm.registry import MODELS
from gslora_mm.utils import ForgetError


def _assert_identical(found, expected):
    for a, b in zip(found, expected):
        assert len(a) > 0
        for key in ('scores', 'labels', 'bboxes'):
            assert torch.equal(a[key], b[key])


def _largest_gap(found, expected):
    gap = 0.
    for a, b in zip(found, expected):
        assert torch.equal(a.labels, b.labels)
        gap = max(gap, (a.scores - b.scores).abs().max().item())
        # Of the image: single precision has no 1e-5 of a pixel.
        gap = max(gap, (a.bboxes - b.bboxes).abs().max().item() / SIZE)
    return gap


def test_is_the_configured_detector_with_its_keys(pair):
    base, adapter = split_state_dict(pair.wrapped.state_dict())
    assert isinstance(pair.wrapped, type(pair.plain))
    assert list(base) == list(pair.plain.state_dict())
    # Two FFN linears of every block, A and B of each.
    assert len(adapter) == 4 * BLOCKS


def test_every_block_is_a_group(pair):
    blocks = [
        f'{coder}.layers.{i}' for coder in ('encoder', 'decoder')
        for i in range(2)
    ]
    assert pair.wrapped.groups.names == blocks
    assert len(pair.wrapped.groups) == BLOCKS


def test_only_lora_trains(pair):
    trainable = {
        name
        for name, param in pair.wrapped.named_parameters()
        if param.requires_grad
    }
    assert trainable == {
        key
        for key in pair.wrapped.state_dict() if is_lora_key(key)
    }


def test_plain_checkpoint_loads_and_detects_the_same(pair):
    expected = detections(pair.plain, *batch())
    found = detections(pair.wrapped, *batch())
    _assert_identical(found, expected)


def test_init_weights_keeps_the_base_and_resets_lora(pair):
    before = {k: v.clone() for k, v in pair.wrapped.state_dict().items()}
    randomise_lora(pair.wrapped)
    torch.manual_seed(7)
    pair.wrapped.init_weights()
    for key, value in pair.wrapped.state_dict().items():
        if not is_lora_key(key):
            assert torch.equal(value, before[key]), key
        elif key.endswith('lora_B'):
            assert not value.any()
        else:
            assert not torch.equal(value, before[key])
    _assert_identical(
        detections(pair.wrapped, *batch()), detections(pair.plain, *batch()))


def test_merged_state_detects_the_same_in_plain_mmdet(pair):
    base = detections(pair.plain, *batch())
    randomise_lora(pair.wrapped)
    found = detections(pair.wrapped, *batch())
    assert not torch.equal(found[0].scores, base[0].scores)
    layer = pair.wrapped.get_submodule(pair.wrapped.targets[0].name)
    state = merge_state_dict(*split_state_dict(pair.wrapped.state_dict()),
                             layer.scaling)
    pair.plain.load_state_dict(state, strict=True)
    assert _largest_gap(found, detections(pair.plain, *batch())) <= 1e-5


def test_one_config_builds_many_models():
    for variant in ('detr', 'dino'):
        cfg = forgetting_cfg(variant)
        before = copy.deepcopy(cfg)
        MODELS.build(cfg)
        assert cfg == before
        MODELS.build(cfg)


def test_a_copy_has_its_own_groups(make_pair):
    model = make_pair('ddetr').wrapped
    twin = copy.deepcopy(model)
    randomise_lora(twin)
    twin.groups.soft_threshold_(1e9)
    assert all(not p.any() for n, p in twin.named_parameters()
               if is_lora_key(n))
    assert model.groups.norms().all()


def test_builds_from_a_class_and_from_mmdets_registry(make_pair):
    cfg = detector_cfg('ddetr')
    cfg['type'] = MMDET_MODELS.get('DeformableDETR')
    model = build_forgetting('ddetr', detector=cfg)
    assert isinstance(model, cfg['type'])
    # As a runner with default_scope='mmdet' does.
    assert MMDET_MODELS.build(forgetting_cfg('ddetr')).groups.names == \
        model.groups.names


def test_group_and_lora_options_arrive():
    model = build_forgetting(
        'ddetr',
        group='lora',
        lora=dict(rank=2, alpha=6., include=['decoder']))
    assert len(model.groups) == 4
    layer = model.get_submodule(model.targets[0].name)
    assert (layer.rank, layer.scaling) == (2, 3.)
    assert all(name.startswith('decoder') for name in model.groups.names)


@pytest.fixture
def logged():
    """Messages of mmengine's logger, which pytest does not see."""
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


def test_logs_what_trains_and_what_is_frozen(logged):
    model = build_forgetting('ddetr')
    text = '\n'.join(logged)
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert 'everything else is frozen' in text
    assert 'decoder.layers.1' in text and f'{count:,} parameters' in text


def test_a_runner_of_scope_mmdet_is_not_warned(logged):
    with DefaultScope.overwrite_default_scope('mmdet'):
        build_forgetting('ddetr')
    assert not any('Failed to search registry' in line for line in logged)


def _retinanet():
    cfg = get_config('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py').model
    cfg.backbone.init_cfg = None
    return cfg.to_dict()


@pytest.mark.parametrize('options, message', [
    (dict(streams='both'), "'fused' or 'separate'"),
    (dict(group='layer'), 'layer'),
    (dict(lora=dict(rank=0)), 'rank'),
    (dict(lora=dict(rnk=4)), 'rnk'),
    (dict(lora=dict(include=['nowhere'])), 'nowhere'),
    (dict(method=dict(type='Nothing')), 'Nothing'),
    (dict(method=dict(type='GSLoRA', betta=1)), 'betta'),
    (dict(method=dict(type='GSLoRA', beta=-1)), 'beta'),
    (dict(detector=dict(type='NoSuchDETR')), 'NoSuchDETR'),
    (dict(detector=_retinanet()), 'RetinaNet is not of the DETR family'),
])
def test_bad_options_are_one_line_errors(options, message):
    with pytest.raises(ForgetError, match=message) as caught:
        build_forgetting('ddetr', **options)
    assert '\n' not in str(caught.value)
