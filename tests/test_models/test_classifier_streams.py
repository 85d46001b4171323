"""Both streams of a classifier in one forward; what training changes."""
import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from vit_toys import (VARIANTS, batch, build_forgetting, classifier_cfg,
                      images, load, logits, make_pair, of_stream,
                      randomise_lora)

from gslora_mm.lora import (is_lora_key, lora_layers, merge_state_dict,
                            split_state_dict)
from gslora_mm.methods import GSLoRA
from gslora_mm.utils import ForgetError

EVERY = pytest.mark.parametrize('variant', VARIANTS)


def _merged_plain(pair):
    """The plain model, with the LoRA of the wrapped one merged in."""
    scaling = next(iter(lora_layers(pair.wrapped).values())).scaling
    state = merge_state_dict(*split_state_dict(pair.wrapped.state_dict()),
                             scaling)
    pair.plain.load_state_dict(state, strict=False)
    return pair.plain


@EVERY
def test_each_stream_has_the_loss_of_plain_mmpretrain(variant):
    pair = make_pair(variant)
    randomise_lora(pair.wrapped)
    losses = pair.wrapped.loss(*batch())
    plain = _merged_plain(pair)
    for stream in ('forget', 'retain'):
        expected = plain.loss(*of_stream(*batch(), stream))['loss']
        torch.testing.assert_close(
            losses[f'{stream}/cls'], expected, rtol=1e-4, atol=1e-5)


@EVERY
def test_fused_and_separate_streams_agree(variant):
    model = make_pair(variant).wrapped
    randomise_lora(model)
    losses, gradients = {}, {}
    for model.streams in ('fused', 'separate'):
        model.zero_grad()
        found = model.loss(*batch())
        (found['loss_retain'] + found['loss_forget']).backward()
        losses[model.streams] = found
        gradients[model.streams] = {
            name: p.grad.clone()
            for name, p in model.named_parameters() if p.grad is not None
        }
    torch.testing.assert_close(
        losses['fused'], losses['separate'], rtol=1e-5, atol=1e-5)
    assert all(g.any() for g in gradients['fused'].values())
    torch.testing.assert_close(
        gradients['fused'], gradients['separate'], rtol=1e-3, atol=1e-4)


def test_streams_run_through_the_network_once_or_twice(monkeypatch):
    model = make_pair('swin').wrapped
    sizes = []
    extract = model.extract_feat

    def watch(inputs):
        sizes.append(len(inputs))
        return extract(inputs)

    monkeypatch.setattr(model, 'extract_feat', watch)
    model.loss(*batch())
    assert sizes == [6]
    model.streams = 'separate'
    model.loss(*batch())
    assert sorted(sizes[1:]) == [3, 3]


def test_features_of_several_stages_are_sliced():
    """Heads see the last, and may look at the others."""
    pair = make_pair('deit_distilled')
    cfg = classifier_cfg('deit_distilled')
    cfg['backbone']['out_indices'] = [0, 2]
    model = build_forgetting('deit_distilled', classifier=cfg)
    load(model, pair.state)
    features = model.extract_feat(images(4))
    taken = model._take_images(features, [2, 0])
    assert len(taken) == 2
    for stage, expected in zip(taken, features):
        assert type(stage) is type(expected) and len(stage) == 2
        for one, two in zip(stage, expected):
            assert torch.equal(one, two[[2, 0]])
    assert torch.equal(
        model.loss(*batch())['retain/cls'],
        pair.wrapped.loss(*batch())['retain/cls'])


@pytest.mark.parametrize('stream', ['forget', 'retain'])
def test_a_full_batch_of_one_stream(stream):
    """The sampler may run out of the other."""
    model = make_pair('deit_distilled').wrapped
    for model.streams in ('fused', 'separate'):
        losses = model.loss(*batch([stream] * 3))
        assert {k for k in losses if 'loss' in k} == {f'loss_{stream}'}


def test_one_image_of_a_stream():
    model = make_pair('vit').wrapped
    streams = ['retain', 'forget', 'retain']
    for model.per_sample in (False, True):
        model.method = GSLoRA(beta=1., bound=1e3)
        losses = model.loss(*batch(streams))
        torch.testing.assert_close(losses['loss_forget'],
                                   1e3 - losses['forget/cls'])


@pytest.mark.parametrize('stream', [None, 'forgotten'])
def test_unmarked_sample_is_an_error(stream):
    model = make_pair('vit').wrapped
    with pytest.raises(ForgetError, match='ForgetRetainDataset'):
        model.loss(*batch(['retain', stream]))


def _loss(model, seed):
    torch.manual_seed(seed)
    with torch.no_grad():
        return model.loss(*batch())['loss_retain']


# Dropout; stochastic depth.
@pytest.mark.parametrize('variant', ['vit', 'vit_avg', 'swin', 'beit'])
def test_frozen_dropout_is_off_by_default(variant):
    model = make_pair(variant).wrapped
    evaluated = _loss(model, 0)
    model.train()
    assert model.training
    assert _loss(model, 0) == _loss(model, 1) == evaluated
    model.dropout = True
    model.train()
    assert _loss(model, 0) != _loss(model, 1)
    model.eval()
    assert _loss(model, 0) == _loss(model, 1) == evaluated


def test_frozen_layers_are_at_rest_from_the_start():
    model = build_forgetting('vit')
    assert model.training
    assert not any(m.training for m in model.modules() if m is not model)


def _train_data():
    """A batch as the data loader gives it, before the preprocessor."""
    inputs, samples = batch()
    pictures = (inputs * 50 + 128).clamp(0, 255).to(torch.uint8)
    return dict(inputs=list(pictures), data_samples=samples)


def _optimizer(model, **options):
    return build_optim_wrapper(model,
                               dict(optimizer=dict(type='AdamW', **options)))


@EVERY
def test_training_changes_lora_and_nothing_else(variant):
    model = make_pair(variant).wrapped
    model.train()
    before = copy.deepcopy(model.state_dict())
    optimizer = _optimizer(model, lr=0.01, weight_decay=0.1)
    for _ in range(2):
        log = model.train_step(_train_data(), optimizer)
    torch.testing.assert_close(log['loss'],
                               log['loss_retain'] + log['loss_forget'])
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]) != is_lora_key(key), key


@pytest.mark.parametrize('variant', ['swin', 'cosface'])
def test_training_raises_what_is_to_be_forgotten(variant, monkeypatch):
    model = make_pair(variant).wrapped.train()
    monkeypatch.setattr(model, 'method', GSLoRA(beta=1., bound=1e3))
    optimizer = _optimizer(model, lr=0.02)
    first = model.train_step(_train_data(), optimizer)
    for _ in range(8):
        last = model.train_step(_train_data(), optimizer)
    assert last['forget/cls'] > 1.2 * first['forget/cls']
    assert last['loss'] < first['loss']


def test_proximal_steps_end_in_untouched_blocks():
    """A group at zero is the base model, to the bit."""
    pair = make_pair('beit')
    model = pair.wrapped
    expected = logits(pair.plain, images(4))
    randomise_lora(model)
    assert not torch.equal(logits(model, images(4)), expected)
    norm = model.groups.norms().max().item()
    model.method.after_step(model.groups, lr=norm)
    assert model.groups.zero_mask().all()
    assert torch.equal(logits(model, images(4)), expected)


@pytest.mark.parametrize('variant', ['vit', 'deit_distilled', 'cosface'])
@pytest.mark.parametrize('per_sample', [False, True])
def test_half_precision(variant, per_sample):
    model = make_pair(variant).wrapped
    model.per_sample = per_sample
    randomise_lora(model)
    exact = model.loss(*batch())
    with torch.autocast('cpu', dtype=torch.bfloat16):
        half = model.loss(*batch())
    assert any(not torch.equal(half[k], exact[k]) for k in exact)
    for key, value in half.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, exact[key], rtol=0.1, atol=0.1)
    (half['loss_retain'] + half['loss_forget']).backward()
    grads = [p.grad for p in model.parameters() if p.requires_grad]
    assert all(torch.isfinite(g).all() for g in grads)
