"""Features of the streams, against hooks on the plain models."""
import numpy as np
import pytest
import torch
import vit_toys
from detr_toys import NUM_CLASSES, VARIANTS, batch, of_stream, sample
from test_closed_form_losses import KINDS, _match, _numpy, _outputs

from gslora_mm.methods import GSLoRA, GSLoRAPlusPlus, Prototypes
from gslora_mm.utils import ForgetError

# Where each classifier's last layer is, and its rows.
LAST = dict(
    vit=('layers.head', 'layers.head.weight'),
    vit_avg=('fc', 'fc.weight'),
    deit=('layers.head', 'layers.head.weight'),
    swin=('fc', 'fc.weight'),
    beit=('fc', 'fc.weight'),
    arcface=('norm_product', 'norm_product.weight'),
    cosface=(None, 'weight'))
ROWS = dict(
    detr='fc_cls.weight',
    conditional='fc_cls.weight',
    dab='fc_cls.weight',
    ddetr='cls_branches.1.weight',
    ddetr_refine='cls_branches.1.weight',
    ddetr_two_stage='cls_branches.1.weight',
    dino='cls_branches.1.weight')


class Keeper(GSLoRA):
    """Keeps what it is given."""

    needs_features = True

    def losses(self, forget, retain, groups):
        self.streams = dict(forget=forget, retain=retain)
        return super().losses(forget, retain, groups)


def kept(model, inputs, samples):
    """StreamLoss of both streams, and the losses."""
    model.method = Keeper()
    losses = model.loss(inputs, samples)
    return model.method.streams, losses


def saved(tmp_path, classes, width):
    """File of random prototypes."""
    torch.manual_seed(5)
    path = tmp_path / 'prototypes.safetensors'
    Prototypes(
        torch.randn(classes, width), torch.randn(classes, classes),
        torch.ones(classes), torch.zeros(classes, 3)).save(path, {})
    return str(path)


@pytest.fixture
def classifier():
    """A wrapped classifier by name; the method is put back."""
    used = []

    def make(variant):
        pair = vit_toys.make_pair(variant)
        used.append(pair)
        return pair

    yield make
    for pair in used:
        pair.wrapped.method = pair.method


@pytest.fixture
def detector(make_pair):
    """A wrapped detector by name; the method is put back."""
    used = []

    def make(variant):
        pair = make_pair(variant)
        used.append((pair.wrapped, pair.wrapped.method))
        return pair

    yield make
    for model, method in used:
        model.method, model.forget_queries = method, 'all'


def entering(head, layer, run):
    """What enters a layer of a head, (N, D)."""
    seen = []
    handle = head.get_submodule(layer).register_forward_pre_hook(
        lambda module, args: seen.append(args[0]))
    run()
    handle.remove()
    return seen[0]


@pytest.mark.parametrize('streams', ['fused', 'separate'])
@pytest.mark.parametrize('margin', [0., 5.])
@pytest.mark.parametrize('variant', LAST)
def test_classifier_gives_what_enters_its_last_layer(classifier, variant,
                                                     margin, streams):
    pair = classifier(variant)
    model, plain = pair.wrapped, pair.plain.eval()
    model.forget_margin, model.streams = margin, streams
    inputs, samples = vit_toys.batch()
    found, _ = kept(model, inputs, samples)
    for stream, loss in found.items():
        images, chosen = vit_toys.of_stream(inputs, samples, stream)
        layer = LAST[variant][0]
        with torch.no_grad():
            logits = plain(images, mode='tensor')
            # CosFace has its rows in the head itself.
            embeddings = entering(
                plain.head, layer, lambda: plain(images, mode='tensor')
            ) if layer else plain.extract_feat(images)[-1]
        torch.testing.assert_close(
            loss.features.embeddings, embeddings, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            loss.features.logits, logits, rtol=1e-4, atol=1e-5)
        assert loss.features.labels.tolist() == [
            int(s.gt_label) for s in chosen
        ]
        assert loss.features.embeddings.requires_grad
    rows = plain.head.state_dict()[LAST[variant][1]]
    assert torch.equal(model.class_rows(), rows)
    assert 'pre_logits' not in vars(model.head)


def test_heads_without_one_embedding(classifier):
    model = classifier('deit_distilled').wrapped
    with pytest.raises(ForgetError, match='DeiTClsHead gives more than one'):
        kept(model, *vit_toys.batch())
    with pytest.raises(ForgetError, match="DeiTClsHead has 2; use .*'mean'"):
        model.class_rows()


def test_method_that_asks_for_no_features_gets_none(classifier, detector):
    for model, data in ((classifier('vit').wrapped, vit_toys.batch()),
                        (detector('ddetr').wrapped, batch())):
        Keeper.needs_features = False
        try:
            streams, _ = kept(model, *data)
        finally:
            Keeper.needs_features = True
        assert all(loss.features is None for loss in streams.values())


def last_queries(plain, inputs, samples):
    """Hidden states of the last decoder layer, (B, Q, D)."""
    with torch.no_grad():
        outputs = plain.forward_transformer(
            plain.extract_feat(inputs), samples)
    return outputs['hidden_states'][-1]


@pytest.mark.parametrize('variant', KINDS)
def test_detector_gives_its_matched_queries(detector, variant):
    """By scipy, image for image, without anything of mmdet's matching."""
    pair = detector(variant)
    inputs, samples = batch()
    found, _ = kept(pair.wrapped, inputs, samples)
    for stream, loss in found.items():
        images, chosen = of_stream(inputs, samples, stream)
        logits, boxes = _outputs(pair.plain.eval(), images, chosen)
        queries = _numpy(last_queries(pair.plain, images, chosen))
        expected = []
        for logit, box, query, one in zip(logits, boxes, queries, chosen):
            if len(one.gt_instances):
                rows, *_, labels, _ = _match(KINDS[variant][0], logit, box,
                                             one)
                expected += [(label, *query[row], *logit[row])
                             for row, label in zip(rows, labels)]
        got = np.concatenate([
            loss.features.labels[:, None],
            _numpy(loss.features.embeddings),
            _numpy(loss.features.logits)
        ], 1)
        expected = np.array(sorted(expected))
        got = np.array(sorted(map(tuple, got)))
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('aux_loss', [False, True])
@pytest.mark.parametrize('variant', VARIANTS)
def test_every_detr_has_features(detector, variant, aux_loss):
    pair = detector(variant)
    model = pair.wrapped
    model.aux_loss = aux_loss
    inputs, samples = batch()
    found, losses = kept(model, inputs, samples)
    for stream, loss in found.items():
        _, chosen = of_stream(inputs, samples, stream)
        truth = sorted(
            int(label) for s in chosen for label in s.gt_instances.labels)
        assert sorted(loss.features.labels.tolist()) == truth
        with torch.no_grad():
            logits = model.classify(loss.features.embeddings)
        torch.testing.assert_close(
            loss.features.logits, logits, rtol=1e-4, atol=1e-4)
    rows = pair.plain.bbox_head.state_dict()[ROWS[variant]]
    assert torch.equal(model.class_rows(), rows[:NUM_CLASSES])
    assert all(torch.isfinite(v).all() for v in losses.values())


@pytest.mark.parametrize('variant, aux_loss, queries', [
    ('ddetr', False, 'all'),
    ('ddetr', False, 'matched'),
    ('ddetr', True, 'all'),
    ('dino', True, 'all'),
])
def test_every_stream_is_matched_once(detector, tmp_path, monkeypatch, variant,
                                      aux_loss, queries):
    """However many terms look at the matching."""
    model = detector(variant).wrapped
    model.aux_loss, model.forget_queries = aux_loss, queries
    model.method = GSLoRAPlusPlus(
        prototypes=saved(tmp_path, NUM_CLASSES, model.embed_dims))
    calls = []
    assign = model.bbox_head.assigner.assign
    monkeypatch.setattr(
        model.bbox_head.assigner, 'assign',
        lambda *args, **kwargs: calls.append(1) or assign(*args, **kwargs))
    inputs, samples = batch()
    losses = model.loss(inputs, samples)
    assert 'loss_prototype' in losses
    # DINO matches its encoder's proposals as well; its denoising queries are
    # matched to nothing.
    layers = model.decoder.num_layers if aux_loss else 1
    layers += variant == 'dino'
    assert len(calls) == layers * len(samples)
    # Nothing is remembered beyond the batch, nor for other images.
    model.loss(inputs, samples)
    assert len(calls) == 2 * layers * len(samples)
    assert 'get_targets' not in vars(model.bbox_head)


def test_remembering_changes_no_loss(detector, tmp_path):
    model = detector('ddetr_refine').wrapped
    plain = {k: float(v.detach()) for k, v in model.loss(*batch()).items()}
    model.method = GSLoRAPlusPlus(
        prototypes=saved(tmp_path, NUM_CLASSES, model.embed_dims))
    losses = model.loss(*batch())
    for key, value in plain.items():
        assert float(losses[key].detach()) == value, key


def numpy_kl(found, expected):
    found, expected = (
        np.exp(x - x.max(1, keepdims=True)) for x in (found, expected))
    found, expected = (x / x.sum(1, keepdims=True) for x in (found, expected))
    return (expected * np.log(expected / found)).sum(1).mean()


@pytest.mark.parametrize('kind', ['classifier', 'detector'])
def test_prototype_loss_of_a_model(kind, classifier, detector, tmp_path):
    """From the features of the plain model to the objective of mmengine."""
    pair = classifier('vit') if kind == 'classifier' else detector('ddetr')
    data = vit_toys.batch() if kind == 'classifier' else batch()
    model = pair.wrapped
    streams, _ = kept(model, *data)
    classes = model.class_rows().shape[0]
    width = model.class_rows().shape[1]
    file = saved(tmp_path, classes, width)
    model.method = GSLoRAPlusPlus(
        prototype_forget=.2, prototype_retain=.4, prototypes=file)
    losses = model.loss(*data)
    table = _numpy(model.method._prototypes.embeddings)
    far, near = (
        numpy_kl(
            _numpy(streams[s].features.embeddings),
            table[streams[s].features.labels]) for s in ('forget', 'retain'))
    expected = .2 * max(18 - far, 0) + .4 * near
    found = float(losses['loss_prototype'].detach())
    assert found == pytest.approx(expected, rel=1e-4)
    total, logged = model.parse_losses(losses)
    rest = sum(
        float(v.detach()) for k, v in losses.items()
        if 'loss' in k and k != 'loss_prototype')
    assert float(total.detach()) == pytest.approx(found + rest, rel=1e-5)
    total.backward()
    assert any(p.grad is not None and p.grad.any() for p in model.parameters())


@pytest.mark.parametrize('made', [
    [('retain', 0), ('forget', 0)],
    [('retain', 0), ('retain', 0)],
    [('forget', 0)],
    [('retain', 0), ('forget', 2)],
    [('retain', 2), ('forget', 0)],
])
@pytest.mark.parametrize('aux_loss', [False, True])
def test_batches_without_boxes(detector, tmp_path, made, aux_loss):
    """A crop may leave none: no error, and no term."""
    model = detector('ddetr').wrapped
    model.aux_loss = aux_loss
    model.method = GSLoRAPlusPlus(
        prototypes=saved(tmp_path, NUM_CLASSES, model.embed_dims))
    samples = [sample(*one, 7 + i) for i, one in enumerate(made)]
    losses = model.loss(batch()[0][:len(samples)], samples)
    assert all(torch.isfinite(v).all() for v in losses.values())
    boxes = {stream for stream, count in made if count}
    for stream in ('forget', 'retain'):
        assert (f'{stream}/prototype' in losses) == (stream in boxes)
    assert ('loss_prototype' in losses) == bool(boxes)
