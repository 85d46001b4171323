"""Both streams of a batch get the losses that plain mmdet gives them."""
import sys

import pytest
import torch
from detr_toys import batch, images, of_stream, randomise_lora, sample

from gslora_mm.lora import (is_lora_key, lora_layers, merge_state_dict,
                            split_state_dict)
from gslora_mm.utils import ForgetError

STREAMS = ('forget', 'retain')


def _merged_plain(pair):
    """The plain model, with the LoRA of the wrapped one merged in."""
    scaling = next(iter(lora_layers(pair.wrapped).values())).scaling
    state = merge_state_dict(*split_state_dict(pair.wrapped.state_dict()),
                             scaling)
    pair.plain.load_state_dict(state)
    return pair.plain


def _plain_losses(model, inputs, samples):
    """mmdet's own loss dict, without dropout."""
    torch.manual_seed(0)
    model.eval()
    # In evaluation mmdet leaves out what its heads need for the loss.
    model.training = True
    with torch.no_grad():
        losses = model.loss(inputs, samples)
    model.eval()
    return {key: value.squeeze() for key, value in losses.items()}


def _losses(model, inputs=None, samples=None):
    torch.manual_seed(0)
    if inputs is None:
        inputs, samples = batch()
    return model.loss(inputs, samples)


def _assert_close(found, expected, rtol=1e-5):
    assert list(found) == list(expected)
    for key, value in found.items():
        torch.testing.assert_close(
            value,
            expected[key],
            rtol=rtol,
            atol=1e-6,
            msg=f'{key}: '
            f'{value} is not {expected[key]}')


def test_each_stream_has_the_losses_of_plain_mmdet(pair):
    randomise_lora(pair.wrapped)
    losses = _losses(pair.wrapped)
    plain = _merged_plain(pair)
    for stream in STREAMS:
        expected = _plain_losses(plain, *of_stream(*batch(), stream))
        assert expected['loss_cls'] > 0 and expected['loss_bbox'] > 0
        for term in ('cls', 'bbox', 'iou'):
            torch.testing.assert_close(
                losses[f'{stream}/{term}'],
                expected[f'loss_{term}'],
                rtol=1e-4,
                atol=1e-6)


def test_fused_and_separate_streams_agree(pair):
    randomise_lora(pair.wrapped)
    fused = _losses(pair.wrapped)
    pair.wrapped.streams = 'separate'
    _assert_close(_losses(pair.wrapped), fused)


def test_fused_and_separate_gradients_agree(make_pair):
    model = make_pair('ddetr_refine').wrapped
    gradients = {}
    for model.streams in ('fused', 'separate'):
        randomise_lora(model)
        model.zero_grad()
        losses = _losses(model)
        (losses['loss_retain'] + losses['loss_forget']).backward()
        gradients[model.streams] = {
            name: param.grad.clone()
            for name, param in model.named_parameters() if is_lora_key(name)
        }
    assert all(grad.any() for grad in gradients['fused'].values())
    torch.testing.assert_close(
        gradients['separate'], gradients['fused'], rtol=1e-3, atol=1e-6)


def test_auxiliary_losses_are_those_of_plain_mmdet(pair):
    model = pair.wrapped
    randomise_lora(model)
    last = _losses(model)
    model.aux_loss = True
    found = _losses(model)
    assert found['loss_retain'] > last['loss_retain']
    if pair.name == 'dino':
        # Its denoising queries are random and depend on the whole batch.
        assert {'retain/dn_bbox', 'retain/enc_bbox'} < set(found)
        assert torch.isfinite(found['loss_retain'] + found['loss_forget'])
        return
    plain = _plain_losses(_merged_plain(pair), *of_stream(*batch(), 'retain'))
    torch.testing.assert_close(
        found['loss_retain'], sum(plain.values()), rtol=1e-4, atol=1e-6)
    model.streams = 'separate'
    _assert_close(_losses(model), found)


def test_every_supervised_layer_is_bounded(make_pair):
    """Decoder layers one by one; the class-agnostic encoder is not."""
    pair = make_pair('ddetr_two_stage')
    model = pair.wrapped
    model.aux_loss = True
    losses = _losses(model)
    plain = _plain_losses(pair.plain, *of_stream(*batch(), 'forget'))
    method = model.method
    expected = 0.
    for key, value in plain.items():
        bounded = key in ('loss_cls', 'd0.loss_cls')
        expected += max(method.bound - value, 0) if bounded else value
    assert 'enc_loss_cls' in plain
    torch.testing.assert_close(
        losses['loss_forget'], method.beta * expected, rtol=1e-4, atol=1e-6)


def test_forget_images_without_boxes_are_left_out(make_pair):
    model = make_pair('ddetr').wrapped
    randomise_lora(model)
    inputs, samples = batch()
    expected = _losses(model, inputs, samples)
    extra = torch.cat([inputs[:1] + 1, inputs])
    for model.streams in ('fused', 'separate'):
        found = _losses(model, extra, [sample('forget', 0, 20), *samples])
        _assert_close(found, expected)


def test_retain_images_without_boxes_stay(make_pair):
    model = make_pair('ddetr').wrapped
    inputs, samples = batch()
    assert len(samples[-1].gt_instances) == 0
    with_empty = _losses(model, inputs, samples)
    without = _losses(model, inputs[:-1], samples[:-1])
    assert with_empty['retain/cls'] > without['retain/cls']


@pytest.mark.parametrize('streams', ['fused', 'separate'])
@pytest.mark.parametrize('aux_loss', [False, True])
@pytest.mark.parametrize('variant', ['detr', 'dino'])
def test_batch_without_boxes_to_forget(make_pair, variant, aux_loss, streams):
    model = make_pair(variant).wrapped
    model.aux_loss, model.streams = aux_loss, streams
    samples = [sample('forget', 0, 1), sample('retain', 2, 2)]
    losses = _losses(model, images(2), samples)
    assert 'loss_forget' not in losses and 'forget/cls' not in losses
    assert losses['loss_retain'] > 0


def test_batch_without_boxes_at_all_trains_nothing_but_runs(make_pair):
    model = make_pair('dino').wrapped
    for model.aux_loss in (False, True):
        samples = [sample('forget', 0, 1), sample('retain', 0, 2)]
        total, _ = model.parse_losses(_losses(model, images(2), samples))
        total.backward()
        assert torch.isfinite(total)
    samples = [sample('forget', 0, 1), sample('forget', 0, 2)]
    losses = _losses(model, images(2), samples)
    total, _ = model.parse_losses(losses)
    total.backward()
    assert total == 0


@pytest.mark.parametrize('stream', [None, 'forgotten'])
def test_unmarked_sample_is_an_error(make_pair, stream):
    model = make_pair('detr').wrapped
    samples = [sample('retain', 1, 1), sample(stream, 1, 2)]
    with pytest.raises(ForgetError, match='ForgetRetainDataset'):
        model.loss(images(2), samples)


@pytest.mark.parametrize('streams', ['fused', 'separate'])
@pytest.mark.parametrize('variant, aux_loss', [('ddetr', False),
                                               ('dino', True)])
def test_ranks_meet_even_if_one_has_nothing_to_forget(make_pair, monkeypatch,
                                                      variant, aux_loss,
                                                      streams):
    """mmdet's heads average over ranks; a missing call hangs the others."""
    calls = []

    def reduce_mean(tensor):
        calls.append(tensor)
        return tensor

    for head in ('detr_head', 'dino_head'):
        monkeypatch.setattr(f'mmdet.models.dense_heads.{head}.reduce_mean',
                            reduce_mean)
    model = make_pair(variant).wrapped
    model.aux_loss, model.streams = aux_loss, streams
    retain = sample('retain', 2, 1)

    def count(forget_boxes):
        calls.clear()
        losses = _losses(model, images(2),
                         [sample('forget', forget_boxes, 2), retain])
        assert ('loss_forget' in losses) == (forget_boxes > 0)
        return len(calls)

    alone = count(0)
    # By the module's name: in the package, the function hides it.
    for name in ('detr_forgetting', 'forgetting_mixin'):
        module = sys.modules[f'gslora_mm.models.{name}']
        monkeypatch.setattr(module, 'get_world_size', lambda: 2)
    assert count(3) == count(0) > alone
