"""The wrapped classifier is the plain classifier, plus LoRA."""
import copy
import logging

import pytest
import torch
from mmengine.hub import get_config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS as MMPRETRAIN_MODELS
from vit_toys import (VARIANTS, batch, blocks_of, build_forgetting,
                      classifier_cfg, forgetting_cfg, images, load, logits,
                      make_pair, randomise_lora)

from gslora_mm.lora import (is_lora_key, lora_layers, merge_state_dict,
                            split_state_dict)
from gslora_mm.registry import MODELS
from gslora_mm.utils import ForgetError


@pytest.fixture(params=VARIANTS)
def pair(request):
    """Each variant in turn."""
    return make_pair(request.param)


def test_is_the_configured_classifier_with_its_keys(pair):
    base, adapter = split_state_dict(pair.wrapped.state_dict())
    assert isinstance(pair.wrapped, type(pair.plain))
    assert list(base) == list(pair.plain.state_dict())
    # Two FFN linears of every block, A and B of each.
    assert len(adapter) == 4 * len(blocks_of(pair.name))


def test_every_block_is_a_group(pair):
    assert pair.wrapped.groups.names == blocks_of(pair.name)


def test_only_lora_trains(pair):
    for mode in (True, False):
        pair.wrapped.train(mode)
        trainable = {
            name
            for name, param in pair.wrapped.named_parameters()
            if param.requires_grad
        }
        assert trainable == set(filter(is_lora_key, pair.wrapped.state_dict()))


def test_plain_checkpoint_gives_the_same_logits(pair):
    inputs = images(4)
    expected = logits(pair.plain, inputs)
    assert expected.std() > 0.01
    assert torch.equal(logits(pair.wrapped, inputs), expected)
    with torch.no_grad():
        found = pair.wrapped.predict(inputs)
    scores = torch.stack([sample.pred_score for sample in found])
    assert torch.equal(scores, expected.softmax(1))


@pytest.mark.parametrize('stream', ['retain', 'forget'])
def test_plain_checkpoint_gives_the_same_loss(pair, stream):
    inputs, samples = batch([stream] * 4)
    with torch.no_grad():
        expected = pair.plain.loss(inputs, samples)['loss']
    assert expected > 0
    for pair.wrapped.streams in ('fused', 'separate'):
        # In training too: frozen layers rest.
        for mode in (False, True):
            found = pair.wrapped.train(mode).loss(inputs, samples)
            assert torch.equal(found[f'{stream}/cls'], expected)
    if stream == 'retain':
        assert torch.equal(found['loss_retain'], expected)


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


def test_merged_state_gives_the_same_logits_in_plain_mmpretrain(pair):
    inputs = images(4)
    base = logits(pair.plain, inputs)
    randomise_lora(pair.wrapped)
    found = logits(pair.wrapped, inputs)
    scale = base.abs().max()
    assert (found - base).abs().max() > 1e-3 * scale
    layer = next(iter(lora_layers(pair.wrapped).values()))
    state = merge_state_dict(*split_state_dict(pair.wrapped.state_dict()),
                             layer.scaling)
    load(pair.plain, state)
    merged = logits(pair.plain, inputs)
    # Cosine heads multiply what single precision leaves over.
    torch.testing.assert_close(
        merged, found, rtol=0, atol=1e-5 * max(1, scale.item()))


def test_one_config_builds_many_models():
    cfg = forgetting_cfg('swin')
    before = copy.deepcopy(cfg)
    MODELS.build(cfg)
    assert cfg == before
    MODELS.build(cfg)


def test_a_copy_has_its_own_groups():
    model = make_pair('vit').wrapped
    twin = copy.deepcopy(model)
    randomise_lora(twin)
    twin.groups.soft_threshold_(1e9)
    assert all(not p.any() for n, p in twin.named_parameters()
               if is_lora_key(n))
    assert model.groups.norms().all()


def test_builds_from_a_class_and_from_mmpretrains_registry():
    cfg = classifier_cfg('vit')
    cfg['type'] = MMPRETRAIN_MODELS.get('ImageClassifier')
    model = build_forgetting('vit', classifier=cfg)
    assert isinstance(model, cfg['type'])
    # As runners with either default scope do.
    for scope in ('mmpretrain', 'mmdet', 'mmengine'):
        with DefaultScope.overwrite_default_scope(scope):
            built = MODELS.build(forgetting_cfg('cosface'))
        assert built.groups.names == model.groups.names


def test_a_class_of_ones_own():

    @MMPRETRAIN_MODELS.register_module(force=True)
    class OwnClassifier(MMPRETRAIN_MODELS.get('ImageClassifier')):
        """Such as users derive."""

    cfg = dict(classifier_cfg('vit'), type='OwnClassifier')
    model = build_forgetting('vit', classifier=cfg)
    assert isinstance(model, OwnClassifier)
    assert type(model).__name__ == 'ForgettingOwnClassifier'


def test_group_and_lora_options_arrive():
    model = build_forgetting(
        'swin',
        group='lora',
        lora=dict(rank=2, alpha=6., include=['stages.1']),
        per_sample=True,
        streams='separate')
    assert len(model.groups) == 4
    layer = model.get_submodule(model.targets[0].name)
    assert (layer.rank, layer.scaling) == (2, 3.)
    assert all('.stages.1.' in name for name in model.groups.names)
    assert model.per_sample and model.streams == 'separate'


@pytest.mark.parametrize('options, message', [
    (dict(forget_margin=20., method=dict(type='GSLoRA', bound=15.)),
     'bound=15 is not above .*forget_margin=20'),
    (dict(forget_margin='10'), 'forget_margin must be a number'),
    (dict(forget_margin=True), 'forget_margin must be a number'),
    (dict(per_sample='False'), "per_sample must be True or False, not 'Fal"),
])
def test_bad_options(options, message):
    with pytest.raises(ForgetError, match=message):
        build_forgetting('swin', **options)


def test_stages_that_the_config_freezes_have_lora_that_trains():
    """mmpretrain's Swin freezes at every call of train()."""
    cfg = classifier_cfg('swin')
    cfg['backbone']['frozen_stages'] = 0
    model = build_forgetting('swin', classifier=cfg)
    randomise_lora(model)
    for model.dropout in (False, True):
        model.train()
        model.zero_grad()
        losses = model.loss(*batch())
        (losses['loss_retain'] + losses['loss_forget']).backward()
        for name, param in model.named_parameters():
            assert (param.grad is not None) == is_lora_key(name)


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
    model = build_forgetting('vit')
    text = '\n'.join(logged)
    count = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert 'everything else is frozen' in text
    assert 'backbone.layers.2' in text and f'{count:,} parameters' in text


def test_a_runner_of_scope_mmpretrain_is_not_warned(logged):
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        build_forgetting('cosface')
    assert not any('Failed to search registry' in line for line in logged)


def _changed(variant='vit', head=None, **backbone):
    cfg = classifier_cfg(variant)
    cfg['backbone'].update(backbone)
    cfg['head'] = head or cfg['head']
    return dict(classifier=cfg)


def _of(path):
    return dict(classifier=get_config(f'mmpretrain::{path}').model.to_dict())


_MULTI_LABEL = dict(
    type='MultiLabelLinearClsHead', num_classes=7, in_channels=24)


@pytest.mark.parametrize('options, message', [
    (_changed(layer_cfgs=dict(ffn_type='swiglu_fused')),
     r'backbone.layers.0.ffn is a gated FFN \(.*ffn.w12.*ffn.w3.*\), which '
     'LoRA does not support; exclude it'),
    (_of('resnet/resnet18_8xb32_in1k.py'),
     'no ffn linear of a Transformer block found in .*ImageClassifier'),
    (_of('mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py'),
     'MAE is not derived from mmpretrain ImageClassifier'),
    (_of('dinov2/vit-small-p14_dinov2-pre_headless.py'),
     r'head of ImageClassifier \(NoneType\) is not a single-label head'),
    (_changed(head=_MULTI_LABEL),
     r'\(MultiLabelLinearClsHead\) is not a single-label head'),
    (dict(streams='both'), "'fused' or 'separate'"),
    (dict(group='layer'), 'layer'),
    (dict(lora=dict(rank=0)), 'rank'),
    (dict(lora=dict(rnk=4)), 'rnk'),
    (dict(lora=dict(include=['nowhere'])), 'nowhere'),
    (dict(method=dict(type='Nothing')), 'Nothing'),
    (dict(method=dict(type='GSLoRA', betta=1)), 'betta'),
    (dict(classifier=dict(type='NoSuchClassifier')),
     "'NoSuchClassifier' is not registered in mmpretrain"),
])
def test_what_cannot_forget_is_a_one_line_error(options, message):
    with pytest.raises(ForgetError, match=message) as caught:
        build_forgetting('vit', **options)
    assert '\n' not in str(caught.value)
