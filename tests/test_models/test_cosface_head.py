"""The CosFace head against its formula in numpy."""
import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmpretrain.models.heads import ArcFaceClsHead, ClsHead
from mmpretrain.models.losses import CrossEntropyLoss
from mmpretrain.structures import DataSample

from gslora_mm.engine.tasks.classification import Classification
from gslora_mm.models.cosface_head import CosFaceClsHead
from gslora_mm.registry import MODELS
from gslora_mm.utils import ForgetError

B, C, K = 6, 16, 5
LABELS = [0, 4, 2, 2, 1, 3]


def make_head(**kwargs):
    torch.manual_seed(0)
    return CosFaceClsHead(num_classes=K, in_channels=C, **kwargs)


def embeddings():
    return torch.randn(B, C, generator=torch.Generator().manual_seed(1)) * 3


def samples(scores=None):
    found = [DataSample().set_gt_label(label) for label in LABELS]
    if scores is not None:
        for sample, score in zip(found, scores):
            sample.set_gt_score(score)
    return found


def cosines(head):
    """In double precision, without torch."""
    e = embeddings().numpy().astype(np.float64)
    w = head.weight.detach().numpy().astype(np.float64)
    return (e @ w.T / np.linalg.norm(e, axis=1)[:, None] /
            np.linalg.norm(w, axis=1)[None])


def cross_entropy(logits, target):
    """Per sample; the target is a distribution over classes."""
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return -(target * log_p).sum(1)


@pytest.mark.parametrize('s, m', [(64., 0.35), (30., 0.2), (64., 0.)])
def test_loss(s, m):
    head = make_head(s=s, m=m)
    target = np.eye(K)[LABELS]
    expected = cross_entropy(s * (cosines(head) - m * target), target)
    losses = head.loss((embeddings(), ), samples())
    assert list(losses) == ['loss']
    assert losses['loss'].item() == pytest.approx(expected.mean(), rel=1e-5)
    each = head.loss((embeddings(), ), samples(), reduction_override='none')
    np.testing.assert_allclose(
        each['loss'].detach().numpy(), expected, rtol=1e-4, atol=1e-4)


def test_loss_with_scores():
    """Mixed samples bear the margin in the proportion of the mix."""
    head = make_head(
        loss=dict(type='mmpretrain.CrossEntropyLoss', use_soft=True))
    mix = 0.7 * np.eye(K)[LABELS] + 0.3 * np.eye(K)[LABELS[::-1]]
    expected = cross_entropy(64 * (cosines(head) - 0.35 * mix), mix).mean()
    scores = torch.tensor(mix, dtype=torch.float32)
    loss = head.loss((embeddings(), ), samples(scores))['loss']
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@torch.no_grad()
def test_prediction_is_free_of_margin():
    """Of the last stage, and whatever the label is."""
    head = make_head()
    expected = 64 * cosines(head)
    feats = (torch.zeros(B, 3), embeddings())
    np.testing.assert_allclose(head(feats), expected, rtol=0, atol=1e-4)
    for given in (samples(), None):
        for sample, row in zip(head.predict(feats, given), expected):
            p = np.exp(row - row.max())
            np.testing.assert_allclose(
                sample.pred_score, p / p.sum(), rtol=1e-3, atol=1e-6)
            assert sample.pred_label.item() == row.argmax()


@torch.no_grad()
def test_margin_on_demand():
    head = make_head()
    labels = torch.tensor(LABELS)
    expected = 64 * (cosines(head) - 0.35 * np.eye(K)[LABELS])
    feats = (embeddings(), )
    np.testing.assert_allclose(
        head(feats, labels), expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(
        head.add_margin(head(feats), labels), expected, rtol=0, atol=1e-4)


def test_gradient():
    """Numeric derivatives of the closed form."""
    head = make_head().double()
    e = embeddings().double().requires_grad_()

    def loss(e, weight):
        cosine = (e @ weight.T) / e.norm(dim=1)[:, None] / weight.norm(dim=1)
        logits = 64 * (cosine - 0.35 * torch.eye(K)[LABELS])
        return torch.nn.functional.cross_entropy(logits, torch.tensor(LABELS))

    expected = torch.autograd.grad(loss(e, head.weight), [e, head.weight])
    found = torch.autograd.grad(
        head.loss((e, ), samples())['loss'], [e, head.weight])
    # The head itself computes in float32.
    for a, b in zip(found, expected):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_accuracy_is_free_of_margin():
    head = make_head(cal_acc=True, m=2.)
    with torch.no_grad():
        head.weight.copy_(embeddings()[:K])
    feats = (head.weight.detach()[[0, 1, 2, 3]], )
    given = [DataSample().set_gt_label(i) for i in (0, 1, 2, 4)]
    # With this margin no label would ever win.
    assert head(feats, torch.tensor([0, 1, 2,
                                     4])).argmax(1).tolist() != [0, 1, 2, 3]
    losses = head.loss(feats, given)
    assert losses['accuracy_top-1'][0].item() == 75


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_autocast(dtype):
    """Half precision alone would move the logits by tenths."""
    head, e = make_head(), embeddings()
    expected = head((e, )).detach()
    with torch.autocast('cpu', dtype=dtype):
        logits = head((e, ))
        loss = head.loss((e, ), samples())['loss']
        half = head((e.to(dtype), ))
    assert logits.dtype == half.dtype == loss.dtype == torch.float32
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)
    loss.backward()
    assert torch.isfinite(head.weight.grad).all()


def test_interface():
    """Key, attributes and embedding, as wrappers and converters use them."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        head = MODELS.build(
            dict(
                type='gslora_mm.CosFaceClsHead', num_classes=K, in_channels=C))
    assert isinstance(head, ClsHead) and not isinstance(head, ArcFaceClsHead)
    assert {
        k: tuple(v.shape)
        for k, v in head.state_dict().items()
    } == {
        'weight': (K, C)
    }
    assert (head.s, head.m, head.num_classes, head.in_channels) == (64, 0.35,
                                                                    K, C)
    with DefaultScope.overwrite_default_scope('mmdet'):
        # mmdet has a loss of that name too.
        assert type(make_head().loss_module) is CrossEntropyLoss
    last = embeddings()
    assert head.pre_logits((torch.zeros(1), last)) is last
    before = head.weight.detach().clone()
    head.init_weights()
    assert torch.equal(head.weight, before) and before.std() > 0


@pytest.mark.parametrize('name', ['num_classes', 'in_channels', 's'])
def test_bad_sizes(name):
    sizes = dict(num_classes=K, in_channels=C, s=64.)
    with pytest.raises(ValueError, match=f'{name}=0 must be positive'):
        CosFaceClsHead(**dict(sizes, **{name: 0}))


def measured_margin(**head):
    """The margin that the metric of a whole config is told."""
    cfg = ConfigDict(model=dict(head=head))
    return Classification().evaluator(cfg, {})['margin']


@pytest.mark.parametrize('kind', ['gslora_mm.CosFaceClsHead', CosFaceClsHead])
@pytest.mark.parametrize('options', [{}, dict(s=30., m=0.2), dict(m=0.5)])
@torch.no_grad()
def test_measured_margin_is_that_of_the_loss(kind, options):
    head = make_head(**options)
    logits = head((embeddings(), ))
    lowered = head.add_margin(logits, torch.tensor(LABELS))
    margin = measured_margin(
        type=kind, num_classes=K, in_channels=C, **options)
    assert (logits - lowered)[range(B), LABELS].tolist() == pytest.approx(
        [margin] * B, abs=1e-4)


def test_head_class_says_its_margin():

    @MODELS.register_module(name='TripleMarginHead', force=True)
    class TripleMarginHead(CosFaceClsHead):

        @staticmethod
        def logit_margin(triple, **_):
            return 3 * triple

    assert measured_margin(
        type='gslora_mm.TripleMarginHead', triple=2., in_channels=C) == 6.


@pytest.mark.parametrize('kind', ['LinearClsHead', 'ArcFaceClsHead'])
def test_heads_without_a_margin_on_the_logit(kind):
    """An angular margin takes more or less by the angle."""
    assert measured_margin(type=kind, num_classes=K, in_channels=C) is None


def test_unknown_head_is_named():
    with pytest.raises(ForgetError, match="model.head.type 'NoSuchHead'"):
        measured_margin(type='NoSuchHead')
