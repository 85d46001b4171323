"""Weights that are mixed with weights drawn anew, epoch by epoch."""
import detr_toys
import pytest
import torch
import vit_toys

from gslora_mm.methods import CounterfactualTeacher
from gslora_mm.utils import ForgetError

SEED, SHARE = 7, .25
SIDES = dict(
    vit=(vit_toys, 'CounterfactualFeatures', dict(blocks=1)),
    ddetr=(detr_toys, 'CounterfactualTeacher', {}))


def build(variant, train='all', share=SHARE, **more):
    toys, kind, options = SIDES[variant]
    method = dict(type=kind, anew=share, anew_epochs=2, **options, **more)
    model = toys.build_forgetting(
        variant, method=method, train=train, forgotten=[1])
    # mmdet leaves some weights as the memory was, which may be NaN.
    for part in (model, model.teacher):
        part.load_state_dict(drawn(variant, 99), strict=False)
    return model


def drawn(variant, seed):
    """Weights of the plain model, as its library draws them."""
    toys = SIDES[variant][0]
    config, models, scope = ((vit_toys.classifier_cfg,
                              vit_toys.MMPRETRAIN_MODELS,
                              'mmpretrain') if toys is vit_toys else
                             (detr_toys.detector_cfg, detr_toys.MMDET_MODELS,
                              'mmdet'))
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(int(torch.randint(2**31, (1, ), generator=generator)))
    model = models.build(dict(config(variant), _scope_=scope))
    model.init_weights()
    return model.state_dict()


def begin(model, fresh=True):
    model.generator.manual_seed(SEED)
    model.method.begin(model, {}, fresh=fresh)


def state(model):
    return {k: v.clone() for k, v in model.state_dict().items()}


@pytest.mark.parametrize('variant', SIDES)
@pytest.mark.parametrize('share', [SHARE, 1.])
def test_mixed_in_the_first_epochs(variant, share):
    model = build(variant, share=share)
    named = model.named_parameters(remove_duplicate=False)
    trained = {n for n, p in named if p.requires_grad}
    begin(model)
    before, teacher = state(model), state(model.teacher)
    for epoch in (0, 1):
        random = torch.get_rng_state()
        model.method.start_epoch(epoch, model.groups)
        assert torch.equal(torch.get_rng_state(), random)
        new, after = drawn(variant, SEED + epoch), state(model)
        for key, value in after.items():
            if key in trained:
                mixed = (1 - share) * before[key] + share * new[key]
                torch.testing.assert_close(value, mixed)
            else:
                assert torch.equal(value, before[key]), key
        before = after
    model.method.start_epoch(2, model.groups)
    assert all(torch.equal(v, before[k]) for k, v in state(model).items())
    # It knows the classes, and shall go on doing so.
    assert all(torch.equal(v, teacher[k])
               for k, v in state(model.teacher).items())  # yapf: disable


def test_a_resumed_run_draws_the_same():
    first, second = build('ddetr'), build('ddetr')
    second.load_state_dict(first.state_dict())
    begin(first)
    first.method.start_epoch(0, first.groups)
    second.load_state_dict(first.state_dict())
    # What was drawn meanwhile does not matter.
    begin(second, fresh=False)
    torch.rand(3, generator=second.generator)
    for model in (first, second):
        model.method.start_epoch(1, model.groups)
    found = second.state_dict()
    assert all(torch.equal(v, found[k]) for k, v in first.state_dict().items())


@pytest.mark.parametrize('variant, train', [('ddetr', 'all'), ('vit', 'head')])
def test_checkpoints_hold_what_changes(variant, train):
    model = build(variant, train=train)
    # Branches of a detector's head go by several names.
    named = dict(model.named_parameters(remove_duplicate=False))
    trained = {n for n, p in named.items() if p.requires_grad}
    statistics = {n for n, _ in model.named_buffers()} & set(state(model))
    assert set(model.trained_keys()) == trained | statistics
    assert len(trained) < len(named)


def test_norms_gather_statistics():
    model = build('ddetr').train()
    norms = [m for m in model.backbone.modules() if 'Norm' in type(m).__name__]
    assert norms and all(m.training for m in norms)
    plain = detr_toys.build_forgetting(
        'ddetr', method=dict(type='CounterfactualTeacher'), train='all')
    norms = plain.train().backbone.modules()
    assert not any(m.training for m in norms if 'Norm' in type(m).__name__)


@pytest.mark.parametrize('variant', SIDES)
def test_lora_is_refused(variant):
    with pytest.raises(ForgetError, match="LoRA would.*forget.train='all'"):
        build(variant, train='lora')


def test_what_does_not_train_stays():
    model = build('vit', train='head')
    begin(model)
    before = state(model)
    model.method.start_epoch(0, model.groups)
    changed = {k for k, v in state(model).items()
               if not torch.equal(v, before[k])}  # yapf: disable
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert changed and changed <= trained
    assert all(name.startswith('head.') for name in trained)


@pytest.mark.parametrize('options, message', [
    (dict(anew=-.1), 'anew of CounterfactualTeacher must be a number >= 0'),
    (dict(anew=1.5), 'anew of CounterfactualTeacher must be at most 1'),
    (dict(anew=.1, anew_epochs=0), 'anew_epochs of CounterfactualTeacher'),
    (dict(anew=.1, anew_epochs=True), 'anew_epochs of CounterfactualTeacher'),
])
def test_bad_arguments(options, message):
    with pytest.raises(ForgetError, match=message):
        CounterfactualTeacher(**options)
