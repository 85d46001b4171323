"""Gradient ascent, random labels, SCRUB and SalUn on small numbers."""
import pytest
import torch
from method_toys import Line, context_of, streams, total
from torch import nn
from torch.optim.swa_utils import AveragedModel

from gslora_mm.lora import NoGroups
from gslora_mm.methods import (SCRUB, GradientAscent, RandomLabels, SalUn,
                               distillation)
from gslora_mm.methods.salun import largest
from gslora_mm.utils import ForgetError

BOTH = ('forget', 'retain')


@pytest.mark.parametrize('retain', [0., .95])
def test_gradient_ascent(retain):
    forget, kept = streams()
    method = GradientAscent(forget=.05, retain=retain)
    found = method.losses(forget, kept if retain else None, NoGroups())
    assert total(found).item() == pytest.approx(-.05 * 3.5 + retain * 2.25)
    total(found).backward()
    assert forget.classification[0].grad.item() == pytest.approx(-.05)
    assert method.phase(0) == (BOTH if retain else ('forget', ))
    assert not method.relabels and 'forget.method.forget' in method.lower


@pytest.mark.parametrize('retain', [0., 2.])
def test_random_labels(retain):
    forget, kept = streams()
    method = RandomLabels(retain)
    found = method.losses(forget, kept if retain else None, NoGroups())
    assert total(found).item() == pytest.approx(3.5 + retain * 2.25)
    assert method.relabels
    assert method.phase(0) == (BOTH if retain else ('forget', ))


def test_phases_of_scrub():
    method = SCRUB(max_epochs=2, cycle=6)
    found = [method.phase(epoch)[0][0] for epoch in range(12)]
    assert ''.join(found) == 'frfrrr' * 2
    published = [SCRUB().phase(epoch) for epoch in range(150)]
    assert published.count(('forget', )) == 50


def test_scrub_goes_away_and_stays_close():
    method = SCRUB(retain=.9, distill=.2, temperature=4.)
    forget, retain = streams()
    away = total(method.losses(forget, None, NoGroups()))
    expected = -distillation(forget.student, forget.teacher, 4.)
    torch.testing.assert_close(away, expected)
    close = total(method.losses(None, retain, NoGroups()))
    expected = .9 * 2.25 + .2 * distillation(retain.student, retain.teacher,
                                             4.)
    torch.testing.assert_close(close, expected)
    assert not SCRUB.relabels and SCRUB.needs_teacher == BOTH
    assert method.extra_modules(None) == {}


def move(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for param in model.parameters():
            if param.requires_grad:
                param.add_(torch.randn(param.shape, generator=generator))


def test_scrub_s_stays_near_the_average():
    method, model = SCRUB(smooth=.5, max_epochs=1, cycle=2), Line([1., -2.])
    model.of_method = nn.ModuleDict(method.extra_modules(model))
    trained = [model.weight, model.bias]
    # Weights are loaded between the two.
    move(model, 1)
    method.begin(model, {})
    # As torch averages; the first update copies.
    theirs = AveragedModel(
        nn.ParameterList(trained),
        avg_fn=lambda mean, param, count: .9 * mean + .1 * param)
    for epoch in range(7):
        method.start_epoch(epoch, NoGroups())
        if epoch and epoch % 2 == 0:
            theirs.update_parameters(nn.ParameterList(trained))
        forget = streams()[0] if epoch == 4 else None
        found = total(method.losses(forget, None, NoGroups()))
        gap = sum((a - b).square().sum().sqrt()
                  for a, b in zip(trained, theirs.module))
        if forget:
            gap -= 2 * distillation(forget.student, forget.teacher, 2.)
        torch.testing.assert_close(found, .5 * gap)
        move(model, 2 + epoch)
    assert theirs.n_averaged == 3


def test_average_survives_a_resume():
    method, model = SCRUB(smooth=.5, cycle=15), Line([1., -2.])
    model.of_method = nn.ModuleDict(method.extra_modules(model))
    method.begin(model, {})
    move(model, 1)
    method.start_epoch(15, NoGroups())
    state = model.state_dict()
    again = SCRUB(smooth=.5, cycle=15)
    other = Line([0., 0.])
    other.of_method = nn.ModuleDict(again.extra_modules(other))
    other.load_state_dict(state)
    again.begin(other, {}, fresh=False)
    for m, x in ((method, model), (again, other)):
        move(x, 3)
        m.start_epoch(30, NoGroups())
    assert torch.equal(
        total(again.losses(None, None, NoGroups())),
        total(method.losses(None, None, NoGroups())))
    # An average does not train.
    assert not any(p.requires_grad for p in model.of_method.parameters())


def test_largest_entries_over_all_tensors():
    torch.manual_seed(0)
    gradients = [torch.randn(3, 5), torch.randn(7), torch.randn(2, 2, 2)]
    every = torch.cat([g.flatten() for g in gradients]).abs()
    for share in (.1, .5, .8, 1.):
        masks = largest(gradients, share)
        assert sum(int(m.sum()) for m in masks) == round(share * 30)
        inside = torch.cat([m.flatten() for m in masks])
        if share < 1:
            assert every[inside].min() > every[~inside].max()
    median = [g.abs() >= every.median() for g in gradients]
    for mask, expected in zip(largest(gradients, .5), median):
        # torch takes the lower of two medians.
        assert (mask <= expected).all()
    masks = largest([torch.zeros(9), torch.ones(1)], .5)
    assert [int(m.sum()) for m in masks] == [0, 1]


def salun_of(model, share=.5):
    torch.manual_seed(0)
    inputs, targets = torch.randn(8, 2), torch.randn(8)
    method = SalUn(share=share)
    context = context_of(model, inputs, targets, stream='forget', size=4)
    return method, method.prepare(context), inputs, targets


def test_saliency_is_that_of_the_sum_over_images():
    model = Line([1., -2.])
    _, stored, inputs, targets = salun_of(model, share=.34)
    (8 * model.plain_loss(inputs, targets)).backward()
    found = torch.cat([model.weight.grad, model.bias.grad]).abs()
    mask = torch.cat([stored['mask.weight'], stored['mask.bias']])
    assert mask.dtype == torch.bool and mask.sum() == 1
    assert mask.nonzero().item() == found.argmax()
    assert set(stored) == {'mask.weight', 'mask.bias'}


def test_outside_the_mask_every_bit_stays():
    model = Line([1., -2.])
    method, stored, inputs, targets = salun_of(model)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    method.begin(model, stored)
    # Decay and momentum move what has no gradient.
    optimizer = torch.optim.AdamW(model.parameters(), lr=.1, weight_decay=.5)
    for _ in range(3):
        optimizer.zero_grad()
        model.plain_loss(inputs, targets).backward()
        for name in ('weight', 'bias'):
            param, mask = getattr(model, name), stored[f'mask.{name}']
            assert not param.grad[~mask].any() and param.grad[mask].all()
        optimizer.step()
        method.after_step(NoGroups(), None)
    for name in ('weight', 'bias'):
        mask = stored[f'mask.{name}']
        changed = model.state_dict()[name] != before[name]
        assert torch.equal(changed, mask)


@pytest.mark.parametrize('kind, options',
                         [(GradientAscent, dict(forget=0)),
                          (GradientAscent, dict(retain=-1)),
                          (RandomLabels, dict(retain='a')),
                          (SCRUB, dict(temperature=0)),
                          (SCRUB, dict(max_epochs=3, cycle=5)),
                          (SCRUB, dict(max_epochs=0)),
                          (SCRUB, dict(smooth=-1)), (SalUn, dict(share=0)),
                          (SalUn, dict(share=2))])
def test_bad_arguments(kind, options):
    with pytest.raises(ForgetError, match=f'of {kind.__name__}') as caught:
        kind(**options)
    assert '\n' not in str(caught.value)


def test_salun_is_random_labels_besides():
    forget, retain = streams()
    found = SalUn(retain=3.).losses(forget, retain, NoGroups())
    assert total(found).item() == pytest.approx(3.5 + 3 * 2.25)
    assert SalUn.relabels
