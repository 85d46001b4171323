"""Every term of GS-LoRA's loss of a classifier, written out in numpy.

Cross-entropy, label smoothing (Szegedy et al.), ArcFace (Deng et al.,
equation 3) and CosFace (Wang et al., equation 4); nothing of mmpretrain is
used but the features of the backbone.
"""
import numpy as np
import pytest
import torch
from vit_toys import (NUM_CLASSES, batch, build_forgetting, classifier_cfg,
                      make_pair, randomise_lora)

from gslora_mm.lora import is_lora_key
from gslora_mm.methods import GSLoRA
from gslora_mm.models import classifier_forgetting

EPS, SCALE = 0.1, dict(arcface=32., cosface=64.)
ARC_MARGIN, COS_MARGIN = 0.5, 0.35


def _numpy(tensor):
    return tensor.detach().double().numpy()


def _log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def _linear(head, feature):
    return feature @ _numpy(head.weight).T + _numpy(head.bias)


def _smooth(labels, eps):
    return (1 - eps) * np.eye(NUM_CLASSES)[labels] + eps / NUM_CLASSES


def _soft_ce(scores, target):
    return -(target * _log_softmax(scores)).sum(-1)


def _vit(head, features, labels):
    hidden = np.tanh(_linear(head.layers.pre_logits, features))
    # Classy Vision's smoothing, with which ViT-B was pre-trained.
    target = _smooth(labels, EPS / (1 + EPS))
    return _soft_ce(_linear(head.layers.head, hidden), target)


def _deit_distilled(head, features, labels):
    scores = (_linear(head.layers.head, features[0]) +
              _linear(head.layers.head_dist, features[1])) / 2
    return _soft_ce(scores, _smooth(labels, EPS))


def _swin(head, features, labels):
    return _soft_ce(_linear(head.fc, features), np.eye(NUM_CLASSES)[labels])


def _cosines(features, weight):
    weight = _numpy(weight)
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    return features @ (weight / np.linalg.norm(weight, axis=1)[:, None]).T


def _arcface(head, features, labels):
    own = np.eye(NUM_CLASSES)[labels]
    cosine = _cosines(features, head.norm_product.weight)
    angle = np.arccos(cosine)
    # Beyond pi the cosine would rise again; there it is a line.
    lowered = np.where(angle + ARC_MARGIN <= np.pi, np.cos(angle + ARC_MARGIN),
                       cosine - ARC_MARGIN * np.sin(ARC_MARGIN))
    scores = SCALE['arcface'] * np.where(own, lowered, cosine)
    return _soft_ce(scores, own)


def _cosface(head, features, labels):
    own = np.eye(NUM_CLASSES)[labels]
    cosine = _cosines(features, head.weight)
    return _soft_ce(SCALE['cosface'] * (cosine - COS_MARGIN * own), own)


KINDS = dict(
    vit=_vit,
    deit_distilled=_deit_distilled,
    swin=_swin,
    arcface=_arcface,
    cosface=_cosface)


def _features(model, inputs):
    """What the head sees, of the last stage."""
    with torch.no_grad():
        features = model.extract_feat(inputs)[-1]
    if isinstance(features, torch.Tensor):
        return _numpy(features)
    return [_numpy(feature) for feature in features]


def _terms(kind, model):
    """Loss of every image of both streams, in the order of the batch."""
    inputs, samples = batch()
    labels = torch.cat([s.gt_label for s in samples]).numpy()
    losses = kind(model.head, _features(model, inputs), labels)
    streams = np.array([s.metainfo['stream'] for s in samples])
    assert len(losses) == len(samples) and (losses > 0).all()
    return {s: losses[streams == s] for s in ('forget', 'retain')}


def _group_norms(model):
    """Norm over A and B of both FFN linears, block by block."""
    squares = {}
    for name, param in model.named_parameters():
        if is_lora_key(name):
            block = name.split('.ffn')[0]
            squares[block] = squares.get(block, 0) + (_numpy(param)**2).sum()
    return np.sqrt(list(squares.values()))


@pytest.fixture(params=list(KINDS))
def case(request):
    """A model away from its start, and the losses of both streams."""
    model = make_pair(request.param).wrapped
    randomise_lora(model)
    return model, _terms(KINDS[request.param], model)


def _float(losses):
    return {key: float(value) for key, value in losses.items()}


def _bounds(forget):
    """Below and above the mean, and between the single images."""
    return dict(
        reached=forget.mean() / 2,
        within=(forget.min() + forget.max()) / 2,
        far=3 * forget.max())


@pytest.mark.parametrize('streams', ['fused', 'separate'])
@pytest.mark.parametrize('per_sample', [False, True])
@pytest.mark.parametrize('mode', ['proximal', 'subgradient'])
@pytest.mark.parametrize('bound', ['reached', 'within', 'far'])
def test_objective(case, bound, mode, per_sample, streams):
    model, terms = case
    model.per_sample, model.streams = per_sample, streams
    bound = _bounds(terms['forget'])[bound]
    beta, alpha = 0.3, 0.01
    model.method = GSLoRA(beta=beta, alpha=alpha, bound=bound, mode=mode)
    losses = model.loss(*batch())
    found = _float(losses)
    value = terms['forget'] if per_sample else terms['forget'].mean()
    forget = beta * np.maximum(bound - value, 0).mean()
    retain = terms['retain'].mean()
    structure = alpha * _group_norms(model).sum()
    tolerance = dict(rel=1e-4, abs=1e-4)
    assert found['retain/cls'] == pytest.approx(retain, rel=1e-4)
    assert found['forget/cls'] == pytest.approx(
        terms['forget'].mean(), rel=1e-4)
    assert found['loss_retain'] == pytest.approx(retain, rel=1e-4)
    assert found['loss_forget'] == pytest.approx(forget, **tolerance)
    assert found['group_norm_sum'] == pytest.approx(structure / alpha)
    expected = retain + forget
    if mode == 'subgradient':
        assert found['loss_structure'] == pytest.approx(structure)
        expected += structure
    # What mmengine really minimises: nothing that is only logged is in it.
    total, _ = model.parse_losses(losses)
    assert float(total) == pytest.approx(expected, **tolerance)


def test_bound_of_each_image_is_not_that_of_their_mean(case):
    model, terms = case
    model.method = GSLoRA(beta=1., bound=_bounds(terms['forget'])['within'])
    mean = model.loss(*batch())['loss_forget']
    model.per_sample = True
    assert model.loss(*batch())['loss_forget'] > mean + 1e-3
    # The head is as it was.
    assert model.head.loss_module.reduction == 'mean'


def _gradients(model, bound, per_sample=False):
    model.method, model.per_sample = GSLoRA(beta=1., bound=bound), per_sample
    loss = model.loss(*batch())['loss_forget']
    trained = [p for p in model.parameters() if p.requires_grad]
    return torch.autograd.grad(loss, trained)


def test_at_the_bound_nothing_is_raised_any_more(case):
    model, terms = case
    forget = terms['forget']
    assert all(g.any() for g in _gradients(model, 2 * forget.max()))
    assert not any(g.any() for g in _gradients(model, forget.mean() / 2))
    between = (forget.min() + forget.mean()) / 2
    assert not any(g.any() for g in _gradients(model, between))
    assert any(g.any() for g in _gradients(model, between, per_sample=True))


def test_raising_pushes_away_from_the_minimum(case):
    """The gradient is that of the cross-entropy itself, upside down."""
    model, terms = case
    raised = _gradients(model, 2 * terms['forget'].max())
    inputs, samples = batch()
    chosen = [i for i, s in enumerate(samples) if s.stream == 'forget']
    loss = model.head.loss(
        model.extract_feat(inputs[chosen]), [samples[i] for i in chosen])
    trained = [p for p in model.parameters() if p.requires_grad]
    for found, plain in zip(raised, torch.autograd.grad(loss['loss'],
                                                        trained)):
        torch.testing.assert_close(found, -plain, rtol=1e-3, atol=1e-5)


def _swin_lowered(head, features, labels):
    own = np.eye(NUM_CLASSES)[labels]
    return _soft_ce(_linear(head.fc, features) - 7. * own, own)


def _deit_lowered(head, features, labels):
    scores = (_linear(head.layers.head, features[0]) +
              _linear(head.layers.head_dist, features[1])) / 2
    own = np.eye(NUM_CLASSES)[labels]
    return _soft_ce(scores - 7. * own, _smooth(labels, EPS))


def _cosface_lowered(head, features, labels):
    own = np.eye(NUM_CLASSES)[labels]
    lowered = _cosines(features, head.weight) - COS_MARGIN * own
    return _soft_ce(SCALE['cosface'] * lowered - 7. * own, own)


@pytest.mark.parametrize('per_sample', [False, True])
@pytest.mark.parametrize('variant, lowered',
                         [('swin', _swin_lowered),
                          ('deit_distilled', _deit_lowered),
                          ('cosface', _cosface_lowered)])
def test_margin_of_the_forget_images(variant, lowered, per_sample):
    model = make_pair(variant).wrapped
    randomise_lora(model)
    terms, plain = _terms(lowered, model), _terms(KINDS[variant], model)
    bound = _bounds(terms['forget'])['within']
    model.per_sample, model.forget_margin = per_sample, 7.
    model.method = GSLoRA(beta=1., bound=bound)
    found = _float(model.loss(*batch()))
    value = terms['forget'] if per_sample else terms['forget'].mean()
    assert found['forget/cls'] == pytest.approx(
        terms['forget'].mean(), rel=1e-4)
    assert found['loss_forget'] == pytest.approx(
        np.maximum(bound - value, 0).mean(), rel=1e-3, abs=1e-4)
    # The images that stay are none of its business, nor is inference.
    assert found['retain/cls'] == pytest.approx(
        plain['retain'].mean(), rel=1e-4)
    assert not model.head._forward_hooks


def _swin_with(loss, **head):
    cfg = classifier_cfg('swin')
    cfg['head'].update(loss=loss, **head)
    model = build_forgetting('swin', classifier=cfg)
    model.load_state_dict(make_pair('swin').state, strict=False)
    randomise_lora(model)
    return model


def test_losses_with_a_value_for_each_class():
    """Binary cross-entropy, as in the training of newer ViTs."""
    model = _swin_with(
        dict(type='LabelSmoothLoss', label_smooth_val=EPS, use_sigmoid=True))

    def binary(head, features, labels):
        scores, target = _linear(head.fc, features), _smooth(labels, EPS)
        return (np.logaddexp(0, scores) - target * scores).sum(-1)

    terms = _terms(binary, model)
    bound = _bounds(terms['forget'])['within']
    model.method = GSLoRA(beta=1., bound=bound)
    for model.per_sample in (False, True):
        value = terms['forget']
        value = value if model.per_sample else value.mean()
        found = _float(model.loss(*batch()))
        assert found['retain/cls'] == pytest.approx(terms['retain'].mean())
        assert found['forget/cls'] == pytest.approx(terms['forget'].mean())
        assert found['loss_forget'] == pytest.approx(
            np.maximum(bound - value, 0).mean(), rel=1e-4)


def test_loss_weight_counts_and_accuracy_does_not():
    model = _swin_with(
        dict(type='CrossEntropyLoss', loss_weight=0.5), cal_acc=True)
    terms = _terms(_swin, model)
    found = _float(model.loss(*batch()))
    assert found['loss_retain'] == pytest.approx(terms['retain'].mean() / 2)
    assert found['forget/cls'] == pytest.approx(terms['forget'].mean() / 2)
    assert not any('acc' in key for key in found)


def test_scores_instead_of_labels(case):
    """``to_onehot`` of the preprocessor: the same targets as vectors."""
    model, _ = case
    expected = _float(model.loss(*batch()))
    inputs, samples = batch()
    for sample in samples:
        sample.set_gt_score(torch.eye(NUM_CLASSES)[sample.gt_label[0]])
    found = _float(model.loss(inputs, samples))
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('variant, bound', [
    ('cosface', 105.),
    ('arcface', 105. / 2),
    ('vit', classifier_forgetting._LINEAR_BOUND),
    ('swin', classifier_forgetting._LINEAR_BOUND),
])
def test_natural_bound_suits_the_head(variant, bound):
    model = build_forgetting(variant)
    assert model.natural_bound() == model.method.bound == bound
    given = build_forgetting(variant, method=dict(type='GSLoRA', bound=7.))
    assert given.method.bound == 7.
    model = build_forgetting(variant, forget_margin=10.)
    assert model.method.bound == bound + 10
