"""The kernels of deformable attention on a CPU against mmcv's function."""
from multiprocessing import get_context

import pytest
import torch
from attention_toys import (CASES, assert_equal_up_to_rounding, by_mmcv,
                            inputs, results)

from gslora_mm.models import cpu_attention_function as fast

pytestmark = pytest.mark.skipif(
    not fast.available(), reason='numba is not installed')
OURS = fast.CPUDeformableAttention.apply


@pytest.fixture
def threads():
    """Sets torch's number of threads; reset at the end."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


# --- against mmcv ------------------------------------------------------------


@pytest.mark.parametrize('form', [2, 4])
@pytest.mark.parametrize('case', CASES)
def test_result_and_gradients_are_those_of_mmcv(case, form):
    args = inputs(*CASES[case], form=form)
    found = results(OURS, args)
    assert_equal_up_to_rounding(found, results(by_mmcv, args))
    exact = results(by_mmcv, args, dtype=torch.float64)
    assert_equal_up_to_rounding(found, [t.float() for t in exact])


@pytest.mark.parametrize('form', [2, 4])
def test_gradients_are_slopes(form):
    # Central differences along the gradient itself; bilinear samples of a
    # point that stays within its four pixels are smooth.
    value, sizes, references, offsets, logits = inputs(
        *CASES['odd'], form=form)
    references[..., :2] = 0.8 / sizes.flip(1)
    args = [value, references, offsets * 0.01, logits]
    grads = results(OURS, [value, sizes, *args[1:]])
    projection = torch.randn(
        3, 7, 15, generator=torch.Generator().manual_seed(8)).double()
    for i, grad in enumerate(grads[1:]):
        step = 1e-2 * grad / grad.abs().max()
        ends = []
        for sign in (1, -1):
            moved = list(args)
            moved[i] = args[i] + sign * step
            out = OURS(moved[0], sizes, *moved[1:]).double()
            ends.append((out * projection).sum())
        slope = float(ends[0] - ends[1])
        assert slope == pytest.approx(2 * float((grad * step).sum()), rel=1e-2)


def test_points_on_pixels_and_borders_have_the_slopes_of_mmcv():
    # Slopes jump here: only the same rounding takes the same side.
    value, sizes, references, offsets, logits = inputs(1, 2, 8, 13, [(7, 5)],
                                                       17)
    references[..., 0] = torch.arange(-1, 12).view(1, 13, 1) / 10
    references[..., 1] = 0
    offsets[..., 0] = 0
    offsets[..., 1] = torch.arange(-1, 16) / 2
    args = value, sizes, references, offsets, logits
    assert_equal_up_to_rounding(results(OURS, args), results(by_mmcv, args))


def test_points_far_outside_have_no_value_and_no_gradient():
    args = inputs(*CASES['odd'])
    for found in results(OURS, [*args[:2], args[2] + 1e6, *args[3:]]):
        assert not found.any()


@pytest.mark.parametrize('shift', [-3e4, 3e4])
def test_softmax_of_huge_logits(shift):
    *args, logits = inputs(*CASES['odd'])
    logits = (logits * 8).round() * 16  # exact, whatever is added
    expected = results(OURS, [*args, logits])
    assert all(t.isfinite().all() for t in expected)
    assert_equal_up_to_rounding(expected, results(by_mmcv, [*args, logits]))
    for one, two in zip(expected, results(OURS, [*args, logits + shift])):
        assert torch.equal(one, two)


@pytest.mark.parametrize('wanted', [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0),
                                    (0, 0, 0, 1), (1, 0, 0, 1), (0, 1, 1, 1)])
def test_gradients_that_nobody_wants_are_left_out(wanted):
    args = inputs(*CASES['odd'])
    found = results(OURS, args, wanted=wanted)
    assert_equal_up_to_rounding(found, results(by_mmcv, args, wanted=wanted))
    assert [g is not None for g in found[1:]] == [bool(w) for w in wanted]


def test_without_gradients():
    args = inputs(*CASES['odd'])
    expected = by_mmcv(*args)
    torch.testing.assert_close(OURS(*args), expected)
    with torch.no_grad():
        out = OURS(args[0].requires_grad_(), *args[1:])
    assert not out.requires_grad
    torch.testing.assert_close(out, expected)


def test_tensors_need_not_be_contiguous():
    args = inputs(*CASES['odd'])
    strided = [t.transpose(0, -1).contiguous().transpose(0, -1) for t in args]
    assert not any(t.is_contiguous() for t in strided)
    found = []
    for function, tensors in ((OURS, strided), (by_mmcv, args)):
        leaves = [t.requires_grad_(t.is_floating_point()) for t in tensors]
        out = function(*leaves)
        # The gradient of a sum is one number, expanded.
        out.sum().backward()
        found.append([out, *(t.grad for t in leaves if t.requires_grad)])
    assert_equal_up_to_rounding(*found)


# --- not-a-number ------------------------------------------------------------


@pytest.mark.parametrize('form', [2, 4])
@pytest.mark.parametrize('number', [float('nan'), float('inf')])
@pytest.mark.parametrize('spread', [0.3, 4.])
@pytest.mark.parametrize('place', [0, 2, 3, 4])
def test_not_a_number_is_not_lost(place, spread, number, form):
    args = inputs(*CASES['demo'], form=form, spread=spread)
    flat = args[place].view(-1)
    flat[::flat.numel() // 7] = number
    found, expected = results(OURS, args), results(by_mmcv, args)
    assert place == 0 or not expected[0].isfinite().all()
    for i, (one, two) in enumerate(zip(found, expected)):
        one, two = one.isfinite(), two.isfinite()
        if i in (2, 3) and place in (2, 3):
            # Of a point that is nowhere mmcv may leave one slope at zero.
            one, two = one.any(-1), two.all(-1)
        assert torch.equal(one, two)


def test_gradient_that_is_not_a_number():
    grads = []
    for function in (OURS, by_mmcv):
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


@pytest.mark.parametrize('case', ['demo', 'one_image', 'one_channel'])
def test_number_of_threads_changes_no_bit(case, threads):
    args, found = inputs(*CASES[case]), []
    for count in (1, 2, 3, 40):
        threads(count)
        found += [results(OURS, args) for _ in range(3)]
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other))


def _sample_once(count):
    torch.set_num_threads(count)
    OURS(*inputs(*CASES['odd']))


def test_forked_process_has_threads_of_its_own(threads):
    _sample_once(2)
    child = get_context('fork').Process(target=_sample_once, args=(2, ))
    child.start()
    child.join(30)
    if child.exitcode is None:
        child.kill()
    assert child.exitcode == 0


def test_no_folder_for_the_cache_is_needed(monkeypatch):
    kernels, caching = fast.kernels(), pytest.importorskip(
        'numba.core.caching')
    monkeypatch.setattr(caching.CompileResultCacheImpl, '_locator_classes', [])
    from numba import int64, njit

    def add(first, last):
        return first + last

    with pytest.raises(RuntimeError, match='cannot cache function'):
        njit(cache=True)(add)
    assert kernels._compiled(add, int64, int64)(2, 3) == 5
