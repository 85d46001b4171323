"""GS-LoRA on two toy groups, against formulas."""
import math

import pytest
import torch
from torch import nn

from gslora_mm.lora import LoRAGroups, inject_lora
from gslora_mm.methods import ForgettingMethod, GSLoRA
from gslora_mm.models import StreamLoss
from gslora_mm.registry import METHODS
from gslora_mm.utils import ForgetError


@pytest.fixture
def groups():
    """Two Transformer blocks, the second with a small LoRA."""
    torch.manual_seed(0)
    model = nn.ModuleList([
        nn.ModuleDict(
            dict(
                attention=nn.MultiheadAttention(8, 2),
                ffn=nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 8))))
        for _ in range(2)
    ])
    inject_lora(model, rank=2)
    groups = LoRAGroups(model)
    groups.model = model
    with torch.no_grad():
        for i, scale in enumerate((1., 0.01)):
            for param in groups.parameters(i):
                param.copy_(torch.randn_like(param) * scale)
    return groups


def _norm(groups, i):
    return math.sqrt(
        sum(float((p.double()**2).sum()) for p in groups.parameters(i)))


def _leaf(value):
    return torch.tensor(float(value), requires_grad=True)


def _stream(cls, bbox=0., iou=0.):
    cls = cls if isinstance(cls, list) else [cls]
    return StreamLoss([_leaf(c) for c in cls],
                      dict(bbox=_leaf(bbox), iou=_leaf(iou)))


def _total(losses):
    return sum(v for k, v in losses.items() if 'loss' in k)


def test_objective_and_its_gradient_below_the_bound(groups):
    forget, retain = _stream(4., 1., 2.), _stream(3., 0.5, 0.25)
    losses = GSLoRA(beta=0.2, bound=15.).losses(forget, retain, groups)
    assert losses['loss_retain'].item() == pytest.approx(3.75)
    assert losses['loss_forget'].item() == pytest.approx(0.2 * (11 + 3))
    _total(losses).backward()
    assert forget.classification[0].grad.item() == pytest.approx(-0.2)
    assert forget.others['bbox'].grad.item() == pytest.approx(0.2)
    assert retain.classification[0].grad == 1
    assert retain.others['iou'].grad == 1


def test_classification_stops_at_the_bound(groups):
    forget = _stream(15.5, 1., 2.)
    losses = GSLoRA(beta=0.2, bound=15.).losses(forget, _stream(1.), groups)
    assert losses['loss_forget'].item() == pytest.approx(0.2 * 3)
    _total(losses).backward()
    assert forget.classification[0].grad == 0
    assert forget.others['iou'].grad.item() == pytest.approx(0.2)


def test_each_supervised_layer_has_its_own_bound(groups):
    forget = _stream([4., 20.])
    losses = GSLoRA(beta=1., bound=15.).losses(forget, None, groups)
    assert losses['loss_forget'].item() == pytest.approx(11.)
    losses['loss_forget'].backward()
    assert [c.grad.item() for c in forget.classification] == [-1., 0.]


def test_logged_terms_are_not_minimised(groups):
    losses = GSLoRA().losses(_stream(4., 1., 2.), _stream(3.), groups)
    logged = {k: float(v) for k, v in losses.items() if 'loss' not in k}
    assert logged == pytest.approx({
        'forget/cls':
        4,
        'forget/bbox':
        1,
        'forget/iou':
        2,
        'retain/cls':
        3,
        'retain/bbox':
        0,
        'retain/iou':
        0,
        'group_norm_sum':
        _norm(groups, 0) + _norm(groups, 1)
    })
    assert not any(losses[key].requires_grad for key in logged)
    assert {k for k in losses if 'loss' in k} == {'loss_retain', 'loss_forget'}


def test_subgradient_adds_the_group_norms(groups):
    method = GSLoRA(alpha=0.5, mode='subgradient')
    losses = method.losses(None, _stream(1.), groups)
    expected = 0.5 * (_norm(groups, 0) + _norm(groups, 1))
    assert losses['loss_structure'].item() == pytest.approx(expected)
    losses['loss_structure'].backward()
    for i in range(2):
        for param in groups.parameters(i):
            torch.testing.assert_close(param.grad,
                                       0.5 * param.detach() / _norm(groups, i))
    before = [p.clone() for i in range(2) for p in groups.parameters(i)]
    method.after_step(groups, lr=1.)
    after = [p for i in range(2) for p in groups.parameters(i)]
    assert all(torch.equal(a, b) for a, b in zip(before, after))


def test_proximal_step_is_the_soft_threshold(groups):
    lr, alpha = 0.01, 30.
    shrink = lr * alpha
    assert _norm(groups, 1) < shrink < _norm(groups, 0)
    factor = 1 - shrink / _norm(groups, 0)
    expected = [p.detach() * factor for p in groups.parameters(0)]
    GSLoRA(alpha=alpha).after_step(groups, lr)
    torch.testing.assert_close([p.detach() for p in groups.parameters(0)],
                               expected)
    assert not any(p.any() for p in groups.parameters(1))


@pytest.mark.parametrize('start', [0, 1, 3])
@pytest.mark.parametrize('mode', ['proximal', 'subgradient'])
def test_sparsity_starts_with_its_epoch(groups, mode, start):
    method = GSLoRA(alpha=1., sparsity_start=start, mode=mode)
    for epoch in range(5):
        method.start_epoch(epoch, groups)
        before = _norm(groups, 0)
        losses = method.losses(_stream(1.), _stream(1.), groups)
        method.after_step(groups, lr=0.1)
        shrunk = before - _norm(groups, 0)
        on = epoch >= start
        assert ('loss_structure' in losses) == (on and mode == 'subgradient')
        expected = 0.1 if on and mode == 'proximal' else 0.
        assert shrunk == pytest.approx(expected, abs=1e-5)


def test_sparsity_is_off_before_the_first_epoch_is_announced(groups):
    before = _norm(groups, 0)
    GSLoRA(alpha=1., sparsity_start=2).after_step(groups, lr=1.)
    assert _norm(groups, 0) == before


def test_sparsity_ends_with_its_epoch(groups):
    """What is zero by then stays zero, the rest is not shrunk any more."""
    method = GSLoRA(alpha=3., sparsity_start=1, sparsity_end=3)
    for epoch in range(5):
        method.start_epoch(epoch, groups)
        before = _norm(groups, 0)
        if _norm(groups, 1) == 0:
            # The momentum of an optimizer moves it off zero.
            with torch.no_grad():
                for param in groups.parameters(1):
                    param.fill_(.5)
        method.after_step(groups, lr=0.1)
        shrunk = before - _norm(groups, 0)
        assert shrunk == pytest.approx(.3 * (1 <= epoch < 3), abs=1e-5)
        assert (_norm(groups, 1) == 0) == (epoch >= 1)


def test_a_zero_matrix_stays_zero_once_sparsity_is_over(groups):
    """It has a gradient, so that an optimizer would move it."""
    by_matrix = LoRAGroups(groups.model, by='matrix')
    with torch.no_grad():
        by_matrix.parameters(0)[0].zero_()
    method = GSLoRA(sparsity_end=1)
    method.start_epoch(1, by_matrix)
    with torch.no_grad():
        for i in range(len(by_matrix)):
            by_matrix.parameters(i)[0].add_(.1)
    method.after_step(by_matrix, lr=0.1)
    assert by_matrix.zero_mask().tolist() == [True] + [False] * 7


def test_the_subgradient_ends_as_well(groups):
    method = GSLoRA(sparsity_end=2, mode='subgradient')
    found = []
    for epoch in range(4):
        method.start_epoch(epoch, groups)
        losses = method.losses(_stream(1.), _stream(1.), groups)
        found.append('loss_structure' in losses)
    assert found == [True, True, False, False]


def test_a_stream_may_be_absent(groups):
    method = GSLoRA()
    assert {
        k
        for k in method.losses(None, _stream(1.), groups) if 'loss' in k
    } == {'loss_retain'}
    assert {
        k
        for k in method.losses(_stream(1.), None, groups) if 'loss' in k
    } == {'loss_forget'}
    nothing = _total(method.losses(None, None, groups))
    assert nothing == 0 and nothing.requires_grad


def test_stream_loss_sorts_what_mmdet_returns():
    losses = {
        'loss_cls': 1.,
        'loss_bbox': 2.,
        'loss_iou': 4.,
        'd0.loss_cls': 8.,
        'd0.loss_bbox': 16.,
        'd0.loss_iou': 32.,
        'enc_loss_cls': 64.,
        'dn_loss_cls': 128.
    }
    losses = {k: torch.tensor(v) for k, v in losses.items()}
    stream = StreamLoss.from_mmdet(losses)
    assert stream.total() == 255
    assert sum(stream.classification) == 1 + 8 + 128
    assert sum(StreamLoss.from_mmdet(losses, ()).classification) == 201
    assert {
        k: v.item()
        for k, v in stream.logged('forget').items()
    } == {
        'forget/cls': 137,
        'forget/bbox': 2,
        'forget/iou': 4,
        'forget/enc_cls': 64
    }


@pytest.mark.parametrize('options, message', [
    (dict(beta=-0.1), 'beta'),
    (dict(alpha='big'), 'alpha'),
    (dict(bound='15'), 'bound'),
    (dict(bound=math.inf), 'bound'),
    (dict(beta=math.nan), 'beta'),
    (dict(alpha=True), 'alpha'),
    (dict(sparsity_start=-1), 'sparsity_start'),
    (dict(sparsity_start=2, sparsity_end=2), 'after sparsity_start=2'),
    (dict(sparsity_end='3'), 'sparsity_end'),
    (dict(mode='lasso'), 'proximal, subgradient'),
])
def test_bad_arguments(options, message):
    with pytest.raises(ForgetError, match=message) as caught:
        GSLoRA(**options)
    assert '\n' not in str(caught.value)


def test_is_registered_and_is_a_method():
    method = METHODS.build(dict(type='GSLoRA', beta=0.5))
    assert isinstance(method, ForgettingMethod) and method.beta == 0.5


def test_a_method_must_say_what_the_loss_is(groups):
    method = ForgettingMethod()
    method.start_epoch(0, groups)
    method.after_step(groups, 1.)
    with pytest.raises(NotImplementedError):
        method.losses(None, None, groups)


def test_late_beta_weighs_the_last_epochs(groups):
    forget = _stream(1., bbox=.5)
    method = GSLoRA(beta=.2, late_beta=.05, late_start=2, bound=15.)
    found = []
    for epoch in range(4):
        method.start_epoch(epoch, groups)
        found.append(float(method.losses(forget, None, groups)['loss_forget']))
    assert found == pytest.approx([2.9, 2.9, .725, .725])
    # A resumed run starts in a late epoch.
    resumed = GSLoRA(beta=.2, late_beta=.05, late_start=2, bound=15.)
    resumed.start_epoch(3, groups)
    assert resumed.beta == .05
    constant = GSLoRA(beta=.2)
    constant.start_epoch(3, groups)
    assert constant.beta == .2


def test_the_model_knows_the_bound_unless_it_is_given():
    free, given = GSLoRA(), GSLoRA(bound=3.)
    for method in (free, given):
        method.default_bound(105.)
    assert (free.bound, given.bound) == (105., 3.)
    assert GSLoRA().bound == 15.


def test_bounded_one_by_one():
    forget = StreamLoss([torch.tensor([1., 20., 5.])])
    # Only those below the bound count, but the mean is over all.
    assert GSLoRA(bound=10.).forget_loss(forget) == pytest.approx(14 / 3)
    together = StreamLoss([torch.tensor(26 / 3)])
    assert GSLoRA(bound=10.).forget_loss(together) == pytest.approx(4 / 3)
