"""What training changes, and what it must not."""
import copy

import pytest
import torch
from detr_toys import BLOCKS, batch, build_forgetting, randomise_lora, sample
from mmengine.optim import build_optim_wrapper

from gslora_mm.lora import is_lora_key
from gslora_mm.methods import GSLoRA


def _loss(model, seed):
    torch.manual_seed(seed)
    with torch.no_grad():
        return model.loss(*batch())['loss_retain']


def _train_data():
    """A batch as the data loader gives it, before the preprocessor."""
    inputs, samples = batch()
    pictures = [
        (image[:, :s.img_shape[0], :s.img_shape[1]] * 50 + 128).clamp(0, 255)
        for image, s in zip(inputs, samples)
    ]
    return dict(
        inputs=[p.to(torch.uint8) for p in pictures], data_samples=samples)


def _step(model, optimizer):
    torch.manual_seed(0)
    return model.train_step(_train_data(), optimizer)


@pytest.mark.parametrize('variant', ['detr', 'ddetr'])
def test_frozen_dropout_is_off_by_default(make_pair, variant):
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
    model = build_forgetting('detr')
    assert model.training
    assert not any(m.training for m in model.modules() if m is not model)


@pytest.mark.parametrize('dropout', [False, True])
def test_training_changes_lora_and_nothing_else(make_pair, dropout):
    model = make_pair('ddetr_refine').wrapped
    model.dropout = dropout
    model.train()
    before = copy.deepcopy(model.state_dict())
    assert any('running_mean' in key for key in before)
    assert not any(m.training
                   for m in model.modules() if 'BatchNorm' in type(m).__name__)
    assert any(m.training for m in model.children()) == dropout
    optimizer = build_optim_wrapper(
        model, dict(optimizer=dict(type='AdamW', lr=0.01, weight_decay=0.1)))
    for _ in range(3):
        log = _step(model, optimizer)
    torch.testing.assert_close(log['loss'],
                               log['loss_retain'] + log['loss_forget'])
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]) != is_lora_key(key), key


def test_training_raises_what_is_to_be_forgotten(make_pair, monkeypatch):
    model = make_pair('ddetr').wrapped.train()
    monkeypatch.setattr(model, 'method', GSLoRA(beta=3.))
    optimizer = build_optim_wrapper(
        model, dict(optimizer=dict(type='AdamW', lr=0.02)))
    first = _step(model, optimizer)
    for _ in range(10):
        last = _step(model, optimizer)
    assert last['forget/cls'] > 1.2 * first['forget/cls']
    assert last['loss'] < first['loss']


def test_proximal_steps_end_in_untouched_blocks(make_pair):
    """A group at zero is the base model, to the bit."""
    model = make_pair('ddetr').wrapped
    expected = _loss(model, 0)
    randomise_lora(model)
    assert _loss(model, 0) != expected
    norm = model.groups.norms().max().item()
    model.method.after_step(model.groups, lr=norm)
    assert model.groups.zero_mask().tolist() == [True] * BLOCKS
    assert _loss(model, 0) == expected


def test_half_precision_stops_at_the_head(make_pair, monkeypatch):
    model = make_pair('ddetr').wrapped
    randomise_lora(model)
    exact = model.loss(*batch())
    seen = []
    single = model.bbox_head.loss_by_feat_single

    def watch(scores, boxes, **kwargs):
        seen.append((scores.dtype, boxes.dtype))
        return single(scores, boxes, **kwargs)

    monkeypatch.setattr(model.bbox_head, 'loss_by_feat_single', watch)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        half = model.loss(*batch())
        assert torch.is_autocast_enabled('cpu')
    assert seen == [(torch.float32, torch.float32)] * 2
    assert any(not torch.equal(half[k], exact[k]) for k in exact)
    for key, value in half.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, exact[key], rtol=0.1, atol=0.05)
    (half['loss_retain'] + half['loss_forget']).backward()
    grads = [p.grad for p in model.parameters() if p.requires_grad]
    assert all(torch.isfinite(g).all() for g in grads)


def test_half_precision_with_auxiliary_losses(make_pair):
    model = make_pair('dino').wrapped
    model.aux_loss = True
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = model.loss(*batch())
    assert all(v.dtype == torch.float32 for v in losses.values())
    assert all(torch.isfinite(v).all() for v in losses.values())


def test_a_full_batch_of_one_stream(make_pair):
    """The sampler may run out of one stream."""
    model = make_pair('ddetr').wrapped
    inputs, samples = batch()
    for stream in ('forget', 'retain'):
        marked = [sample(stream, 1, i) for i in range(len(samples))]
        losses = model.loss(inputs, marked)
        present = {k for k in losses if 'loss' in k}
        assert present == {f'loss_{stream}'}
