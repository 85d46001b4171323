"""The fast forward of mmcv's module, where it falls back, and its switch."""
import inspect
import subprocess
import sys
from unittest import mock

import pytest
import torch
from attention_toys import assert_equal_up_to_rounding, module, module_inputs
from detr_toys import batch, plain_detector
from mmcv.ops import MultiScaleDeformableAttention

from gslora_mm.engine.runner import RequestRunner
from gslora_mm.models import cpu_attention_function as function
from gslora_mm.models import cpu_deformable_attention as fast
from gslora_mm.utils import ForgetError

MMCV, OURS = fast.mmcv_forward, fast.cpu_forward

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
def forbid_mmcv(monkeypatch):
    """Makes a silent fall-back fail."""

    def refuse(*args, **kwargs):
        raise AssertionError("mmcv's forward was called")

    monkeypatch.setattr(fast, 'mmcv_forward', refuse)


def trained(forward, attention, given):
    """Output, gradients of all inputs and of all parameters."""
    attention.zero_grad()
    given = {
        k: v.detach().clone().requires_grad_(v.is_floating_point())
        for k, v in given.items()
    }
    out = forward(attention, **given)
    out.backward(torch.linspace(-1, 1, out.numel()).to(out).view(out.shape))
    return [
        out, *(v.grad for v in given.values() if v.is_floating_point()),
        *(p.grad for p in attention.parameters())
    ]


# --- against mmcv ------------------------------------------------------------


@needs_numba
@pytest.mark.parametrize('batch_first', [True, False])
@pytest.mark.parametrize('form', [2, 4])
@pytest.mark.parametrize('missing', [(), ('identity', 'query_pos'),
                                     ('key_padding_mask', ),
                                     ('level_start_index', )])
def test_module_as_mmcv_computes_it(missing, form, batch_first, forbid_mmcv):
    attention = module(batch_first=batch_first)
    given = module_inputs(form, batch_first, **dict.fromkeys(missing))
    found = trained(OURS, attention, given)
    assert_equal_up_to_rounding(found, trained(MMCV, attention, given))


@needs_numba
def test_value_is_the_query_unless_given(forbid_mmcv):
    attention = module(batch_first=True)
    given = module_inputs(
        query=torch.randn(2, 14, 16),
        value=None,
        identity=None,
        query_pos=torch.randn(2, 14, 16),
        reference_points=torch.rand(2, 14, 2, 2))
    found = trained(OURS, attention, given)
    assert_equal_up_to_rounding(found, trained(MMCV, attention, given))


@needs_numba
def test_dropout_is_drawn_alike(forbid_mmcv):
    attention, found = module(dropout=0.5, batch_first=True), []
    for forward in (OURS, MMCV):
        torch.manual_seed(0)
        found.append(trained(forward, attention, module_inputs()))
    assert_equal_up_to_rounding(*found)


def test_signature_is_that_of_mmcv():
    ours, theirs = (
        list(inspect.signature(f).parameters)
        for f in (OURS, inspect.unwrap(MMCV)))
    assert ours == theirs


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


# --- fall-backs --------------------------------------------------------------


def calls_mmcv(attention, given):
    """Whether mmcv's forward answers."""
    with mock.patch.object(fast, 'mmcv_forward', wraps=MMCV) as used:
        torch.testing.assert_close(
            OURS(attention, **given), MMCV(attention, **given))
    return used.call_count == 1


@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16])
def test_other_types_go_to_mmcv(dtype):
    given = {
        k: v.to(dtype) if v.is_floating_point() else v
        for k, v in module_inputs().items()
    }
    assert calls_mmcv(module(batch_first=True).to(dtype), given)


def test_autocast_goes_to_mmcv():
    with torch.autocast('cpu', torch.bfloat16):
        assert calls_mmcv(module(batch_first=True), module_inputs())


def test_tracing_goes_to_mmcv():
    attention = module(batch_first=True).requires_grad_(False)
    given = module_inputs()
    fast.use_fast_cpu_attention()
    traced = torch.jit.trace(
        lambda query: attention(**dict(given, query=query)), given['query'])
    other = given['query'] + 1
    torch.testing.assert_close(
        traced(other), attention(**dict(given, query=other)))


def test_old_name_of_identity():
    given = module_inputs()
    expected = MMCV(module(batch_first=True), **given)
    given['residual'] = given.pop('identity')
    with pytest.warns(DeprecationWarning, match='residual'):
        found = OURS(module(batch_first=True), **given)
    torch.testing.assert_close(found, expected)


def test_without_numba_mmcv_answers(monkeypatch):
    # Neither imported by now, nor to be imported.
    name = 'gslora_mm.models.cpu_attention_kernels'
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delattr(
        sys.modules['gslora_mm.models'], name.split('.')[-1], raising=False)
    monkeypatch.setitem(sys.modules, 'numba', None)
    function.kernels.cache_clear()
    try:
        assert calls_mmcv(module(batch_first=True), module_inputs())
    finally:
        function.kernels.cache_clear()


@pytest.mark.parametrize('wrong', [
    dict(value=torch.randn(2, 13, 16), key_padding_mask=None),
    dict(value=torch.randn(3, 14, 16), key_padding_mask=None),
    dict(spatial_shapes=torch.tensor([[3, 4]])),
    dict(spatial_shapes=torch.tensor([[3, 4], [-1, -2]])),
    dict(spatial_shapes=None),
    dict(reference_points=torch.rand(2, 5, 2, 3)),
    dict(reference_points=torch.rand(2, 4, 2, 2)),
    dict(reference_points=torch.rand(2, 5, 3, 4)),
    dict(reference_points=None),
    dict(query=torch.randn(2, 5, 15), query_pos=None)
])
def test_what_does_not_fit_together_is_the_error_of_mmcv(wrong):
    # The kernels check no index: this must never get there.
    attention, errors = module(batch_first=True), []
    for forward in (OURS, MMCV):
        with pytest.raises(Exception) as caught:
            forward(attention, **module_inputs(**wrong))
        errors.append((caught.type, str(caught.value)))
    assert errors[0] == errors[1]


def test_numba_is_not_imported_with_the_package():
    code = ('import sys, gslora_mm.engine, gslora_mm.models; '
            "sys.exit('numba' in sys.modules)")
    assert not subprocess.run([sys.executable, '-W', 'ignore', '-c', code
                               ]).returncode


# --- the switch --------------------------------------------------------------


def in_use():
    """The forward of mmcv's module."""
    return MultiScaleDeformableAttention.forward


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
