"""Deformable attention on a CPU against mmcv's own, and its switch."""
import subprocess
import sys
from multiprocessing import get_context
from unittest import mock

import pytest
import torch
from detr_toys import batch, plain_detector
from mmcv.ops import multi_scale_deform_attn as mmcv_module

from gslora_mm.engine.runner import RequestRunner
from gslora_mm.models import cpu_deformable_attention as fast
from gslora_mm.utils import ForgetError

MMCV = fast.mmcv_attention
OURS = fast.cpu_deformable_attention
CASES = dict(
    demo=(2, 8, 16, 30, [(16, 16), (8, 8), (4, 4), (2, 2)], 4),
    one_image=(1, 2, 16, 340, [(16, 16), (8, 8), (4, 4), (2, 2)], 4),
    odd=(3, 3, 5, 7, [(5, 9), (1, 4), (3, 1)], 2),
    one_pixel=(2, 2, 4, 6, [(1, 1), (1, 1)], 3),
    one_channel=(2, 1, 1, 1, [(2, 3)], 1),
    wide=(1, 2, 67, 9, [(4, 6)], 4))

needs_numba = pytest.mark.skipif(
    not fast.available(), reason='numba is not installed')


@pytest.fixture(autouse=True)
def own_switch(monkeypatch):
    """The switch is off at the start and after each test."""
    monkeypatch.delenv(fast.SWITCH, raising=False)
    fast.use_mmcv_attention()
    yield
    fast.use_mmcv_attention()


@pytest.fixture
def threads():
    """Sets torch's number of threads; reset at the end."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def forbid_mmcv(monkeypatch):
    """Makes a silent fall-back fail."""

    def refuse(*args):
        raise AssertionError("mmcv's function was called")

    monkeypatch.setattr(fast, 'mmcv_attention', refuse)


def inputs(images, heads, channels, queries, sizes, points, spread=1.6):
    """Value, sizes, locations (some outside the map) and weights."""
    generator = torch.Generator().manual_seed(7)
    sizes = torch.tensor(sizes)
    keys = int(sizes.prod(1).sum())
    shape = images, queries, heads, len(sizes), points
    value = torch.randn(images, keys, heads, channels, generator=generator)
    locations = torch.rand(*shape, 2, generator=generator) - 0.5
    weights = torch.rand(shape, generator=generator)
    return value, sizes, locations * spread + 0.5, weights


def results(function, value, sizes, locations, weights, wanted=(1, 1, 1)):
    """The output, and gradients of a random projection of it."""
    args = [
        t.detach().clone().requires_grad_(bool(w))
        for t, w in zip((value, locations, weights), wanted)
    ]
    out = function(args[0], sizes, *args[1:])
    generator = torch.Generator().manual_seed(8)
    projection = torch.randn(out.shape, generator=generator)
    (out * projection).sum().backward()
    return [out, *(a.grad for a in args)]


def assert_equal_up_to_rounding(found, expected):
    """Within 1e-5 of the largest entry."""
    assert len(found) == len(expected)
    for one, two in zip(found, expected):
        assert (one is None) == (two is None)
        if one is not None:
            assert one.shape == two.shape and one.is_contiguous()
            assert two.any() and (one - two).abs().max() < (1e-5 *
                                                            two.abs().max())


# --- against mmcv ------------------------------------------------------------


@needs_numba
@pytest.mark.parametrize('case', CASES)
def test_result_and_gradients_are_those_of_mmcv(case, forbid_mmcv):
    args = inputs(*CASES[case])
    assert_equal_up_to_rounding(results(OURS, *args), results(MMCV, *args))


@needs_numba
def test_gradients_are_slopes(forbid_mmcv):
    # Central differences along the gradient itself; bilinear samples of a
    # point that stays within its four pixels are linear in x and in y.
    value, sizes, _, weights = inputs(*CASES['odd'])
    locations = torch.full((*weights.shape, 2), 0.8) / sizes.flip(1)[:, None]
    args = [value, locations, weights]
    grads = results(OURS, value, sizes, locations, weights)[1:]
    projection = torch.randn(
        3, 7, 15, generator=torch.Generator().manual_seed(8)).double()
    for i, grad in enumerate(grads):
        step = 1e-2 * grad / grad.abs().max()
        ends = []
        for sign in (1, -1):
            moved = list(args)
            moved[i] = args[i] + sign * step
            out = OURS(moved[0], sizes, *moved[1:]).double()
            ends.append((out * projection).sum())
        slope = float(ends[0] - ends[1])
        assert slope == pytest.approx(2 * float((grad * step).sum()), rel=1e-2)


@needs_numba
def test_points_on_pixels_and_borders_have_the_slopes_of_mmcv(forbid_mmcv):
    # Slopes jump here: only the same rounding takes the same side.
    value, sizes, locations, weights = inputs(1, 2, 8, 13, [(7, 5)], 17)
    locations[..., 0] = torch.arange(-1, 12).view(1, 13, 1, 1, 1) / 10
    locations[..., 1] = torch.arange(-1, 16) / 14
    args = value, sizes, locations, weights
    assert_equal_up_to_rounding(results(OURS, *args), results(MMCV, *args))


@needs_numba
@pytest.mark.parametrize('wanted', [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1),
                                    (0, 1, 1)])
def test_gradients_that_nobody_wants_are_left_out(wanted, forbid_mmcv):
    args = inputs(*CASES['odd'])
    found = results(OURS, *args, wanted=wanted)
    assert_equal_up_to_rounding(found, results(MMCV, *args, wanted=wanted))
    assert [g is not None for g in found[1:]] == [bool(w) for w in wanted]


@needs_numba
def test_without_gradients(forbid_mmcv):
    args = inputs(*CASES['odd'])
    expected = MMCV(*args)
    torch.testing.assert_close(OURS(*args), expected)
    with torch.no_grad():
        out = OURS(args[0].requires_grad_(), *args[1:])
    assert not out.requires_grad
    torch.testing.assert_close(out, expected)


@needs_numba
def test_tensors_need_not_be_contiguous(forbid_mmcv):
    args = inputs(*CASES['odd'])
    strided = [t.transpose(0, -1).contiguous().transpose(0, -1) for t in args]
    assert not any(t.is_contiguous() for t in strided)
    leaves = [t.requires_grad_(t.is_floating_point()) for t in strided]
    out = OURS(*leaves)
    # The gradient of a sum is one number, expanded.
    out.sum().backward()
    plain = [t.clone().requires_grad_(t.is_floating_point()) for t in args]
    expected = MMCV(*plain)
    expected.sum().backward()
    assert_equal_up_to_rounding(
        [out, *(t.grad.contiguous() for t in leaves if t.requires_grad)],
        [expected, *(t.grad for t in plain if t.requires_grad)])


# --- not-a-number ------------------------------------------------------------


@needs_numba
@pytest.mark.parametrize('number', [float('nan'), float('inf')])
@pytest.mark.parametrize('spread', [0.5, 4.])
@pytest.mark.parametrize('place', [0, 2, 3])
def test_not_a_number_is_not_lost(place, spread, number, forbid_mmcv):
    args = inputs(*CASES['demo'], spread=spread)
    flat = args[place].view(-1)
    flat[::flat.numel() // 7] = number
    found, expected = results(OURS, *args), results(MMCV, *args)
    assert place == 0 or not expected[0].isfinite().all()
    for i, (one, two) in enumerate(zip(found, expected)):
        one, two = one.isfinite(), two.isfinite()
        if i == 2 and place == 2:
            # Of a point that is nowhere mmcv may leave one slope at zero.
            one, two = one.any(-1), two.all(-1)
        assert torch.equal(one, two)


@needs_numba
def test_gradient_that_is_not_a_number(forbid_mmcv):
    grads = []
    for function in (OURS, MMCV):
        args = inputs(*CASES['odd'])
        leaves = [args[0], *args[2:]]
        for leaf in leaves:
            leaf.requires_grad_()
        out = function(*args)
        grad = torch.ones_like(out)
        grad[1, 3, 2] = float('nan')
        out.backward(grad)
        grads.append([leaf.grad.isnan() for leaf in leaves])
    assert all(g.any() for g in grads[1])
    for one, two in zip(*grads):
        assert torch.equal(one, two)


# --- threads -----------------------------------------------------------------


@needs_numba
@pytest.mark.parametrize('case', ['demo', 'one_image', 'one_channel'])
def test_number_of_threads_changes_no_bit(case, threads, forbid_mmcv):
    args, found = inputs(*CASES[case]), []
    for count in (1, 2, 3, 40):
        threads(count)
        found += [results(OURS, *args) for _ in range(3)]
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other))


def _sample_once(count):
    torch.set_num_threads(count)
    OURS(*inputs(*CASES['odd']))


@needs_numba
def test_forked_process_has_threads_of_its_own(threads):
    _sample_once(2)
    child = get_context('fork').Process(target=_sample_once, args=(2, ))
    child.start()
    child.join(30)
    if child.exitcode is None:
        child.kill()
    assert child.exitcode == 0


# --- fall-backs --------------------------------------------------------------


def calls_mmcv(*args):
    """Whether mmcv's function answers."""
    with mock.patch.object(fast, 'mmcv_attention', wraps=MMCV) as used:
        torch.testing.assert_close(OURS(*args), MMCV(*args))
    return used.call_count == 1


@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16])
def test_other_types_go_to_mmcv(dtype):
    value, sizes, *points = inputs(*CASES['odd'])
    args = [t.to(dtype) for t in (value, *points)]
    assert calls_mmcv(args[0], sizes, *args[1:])


def test_without_numba_mmcv_answers(monkeypatch):
    args = inputs(*CASES['odd'])
    # Neither imported by now, nor to be imported.
    name = 'gslora_mm.models.cpu_attention_kernels'
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delattr(
        sys.modules['gslora_mm.models'], name.split('.')[-1], raising=False)
    monkeypatch.setitem(sys.modules, 'numba', None)
    fast._kernels.cache_clear()
    try:
        assert calls_mmcv(*args)
    finally:
        fast._kernels.cache_clear()


@pytest.mark.parametrize('wrong', range(4))
def test_what_does_not_fit_together_is_an_error(wrong):
    # The kernels check no index: this must never get there.
    args = list(inputs(*CASES['odd']))
    args[wrong] = (args[0][:, :-1], args[1][:2], args[2][:, :, :-1],
                   args[3][:, :, :-1])[wrong]
    with pytest.raises((RuntimeError, ValueError)):
        OURS(*args)
    with pytest.raises((RuntimeError, ValueError)):
        MMCV(*args)


@needs_numba
def test_no_folder_for_the_cache_is_needed(monkeypatch):
    kernels, caching = fast._kernels(), pytest.importorskip(
        'numba.core.caching')
    monkeypatch.setattr(caching.CompileResultCacheImpl, '_locator_classes', [])
    from numba import int64, njit

    def add(first, last):
        return first + last

    with pytest.raises(RuntimeError, match='cannot cache function'):
        njit(cache=True)(add)
    assert kernels._compiled(add, int64, int64)(2, 3) == 5


def test_numba_is_not_imported_with_the_package():
    code = ('import sys, gslora_mm.engine, gslora_mm.models; '
            "sys.exit('numba' in sys.modules)")
    assert not subprocess.run([sys.executable, '-W', 'ignore', '-c', code
                               ]).returncode


# --- the switch --------------------------------------------------------------


def in_use():
    """The function that mmcv's attention calls."""
    return mmcv_module.multi_scale_deformable_attn_pytorch


def test_switch_can_be_undone():
    assert fast.use_fast_cpu_attention()
    assert in_use() is OURS
    assert not fast.use_fast_cpu_attention()
    with fast.fast_cpu_attention():
        assert in_use() is OURS
    # Whoever was there before has it still.
    assert in_use() is OURS
    fast.use_mmcv_attention()
    assert in_use() is MMCV
    with pytest.raises(KeyError), fast.fast_cpu_attention():
        assert in_use() is OURS
        raise KeyError
    assert in_use() is MMCV


def test_variable_switches_it_off(monkeypatch):
    monkeypatch.setenv(fast.SWITCH, 'mmcv')
    assert not fast.use_fast_cpu_attention()
    with fast.fast_cpu_attention():
        assert in_use() is MMCV
    monkeypatch.setenv(fast.SWITCH, 'mmvc')
    with pytest.raises(ForgetError, match='GSLORA_CPU_ATTENTION=mmvc'):
        fast.use_fast_cpu_attention()


@pytest.mark.parametrize('method', ['train', 'test'])
def test_runner_switches_it_on(method, monkeypatch):
    seen = []
    monkeypatch.setattr(f'mmengine.runner.Runner.{method}',
                        lambda self: seen.append(in_use()))
    runner = RequestRunner.__new__(RequestRunner)
    runner.logger = mock.Mock(handlers=[])
    getattr(runner, method)()
    monkeypatch.setenv(fast.SWITCH, 'mmcv')
    getattr(runner, method)()
    assert seen == [OURS, MMCV] and in_use() is MMCV


@needs_numba
@pytest.mark.parametrize('variant', ['ddetr', 'ddetr_two_stage', 'dino'])
def test_detector_has_the_losses_and_gradients_of_plain_mmdet(variant):
    model = plain_detector(variant).train()
    found = []
    for _ in range(2):
        model.zero_grad()
        torch.manual_seed(0)
        losses = model.loss(*batch())
        model.parse_losses(losses)[0].backward()
        found.append((losses, {
            k: p.grad
            for k, p in model.named_parameters() if p.grad is not None
        }))
        used = fast.use_fast_cpu_attention()
    assert not used
    for one, two in zip(*found):
        assert list(one) == list(two)
        for key, value in one.items():
            scale = float(value.abs().max()) + 1e-3
            assert (value - two[key]).abs().max() < 1e-4 * scale, key
