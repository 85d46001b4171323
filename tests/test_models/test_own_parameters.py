"""Models that train parameters of their own, with and without a teacher."""
from types import SimpleNamespace

import detr_toys
import pytest
import torch
import vit_toys

from gslora_mm.methods import ForgettingMethod, RowReset
from gslora_mm.models.teacher import check_agreement
from gslora_mm.registry import METHODS
from gslora_mm.utils import ForgetError

TASKS = dict(vit=vit_toys, cosface=vit_toys, ddetr=detr_toys, detr=detr_toys)


@METHODS.register_module(force=True)
class Both(ForgettingMethod):
    """Sees student and teacher of both streams, with wrong labels."""

    relabels = True
    needs_outputs = True
    needs_teacher = ('forget', 'retain')

    def losses(self, forget, retain, groups):
        self.seen = forget, retain
        return dict(loss=forget.total() + retain.total())


def plain(variant):
    toys = TASKS[variant]
    return (toys.plain_classifier if toys is vit_toys else
            toys.plain_detector)(variant)  # yapf: disable


def build(variant, method='Both', train='all', **options):
    model = TASKS[variant].build_forgetting(
        variant, method=dict(type=method), train=train, **options)
    model.load_state_dict(plain(variant).state_dict())
    if model.teacher:
        model.teacher.load_state_dict(plain(variant).state_dict())
    return model


def changed_by_a_step(model, variant):
    before = {k: v.clone() for k, v in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=.1)
    losses = model.loss(*TASKS[variant].batch())
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    optimizer.step()
    after = model.state_dict()
    return {k for k in after if not torch.equal(after[k], before[k])}


PARTS = [('vit', 'head', lambda n: n.startswith('head.')),
         ('vit', 'ffn', lambda n: '.ffn.' in n),
         ('vit', dict(include=['backbone.layers.1'], exclude='bias'),
          lambda n: n.startswith('backbone.layers.1.') and 'bias' not in n),
         ('ddetr', 'head', lambda n: 'cls_branches' in n),
         ('ddetr', 'ffn', lambda n: '.ffn.' in n),
         ('detr', 'head', lambda n: 'fc_cls' in n)]  # yapf: disable


@pytest.mark.parametrize('variant, train, chosen', PARTS)
def test_nothing_else_changes(variant, train, chosen):
    model = build(variant, 'FineTune', train)
    expected = {name for name in plain(variant).state_dict() if chosen(name)}
    assert set(model.trained_keys()) == expected
    found = changed_by_a_step(model, variant)
    assert found and found <= expected
    if train != 'ffn':
        return
    # Weights and biases, of both linears of every FFN.
    assert {k.rpartition('.')[2] for k in expected} == {'weight', 'bias'}


@pytest.mark.parametrize('variant', TASKS)
def test_all_is_what_the_plain_model_trains(variant):
    model, own = build(variant, 'FineTune'), plain(variant).train()
    expected = {
        name
        for name, p in own.named_parameters(remove_duplicate=False)
        if p.requires_grad
    }
    assert set(model.trained_keys()) == expected
    trained, whole = model.parameter_counts
    assert trained == sum(p.numel() for p in own.parameters()
                          if p.requires_grad)  # yapf: disable
    assert whole == sum(p.numel() for p in own.parameters())
    assert changed_by_a_step(model, variant) <= expected
    norms = [m for m in model.modules() if 'BatchNorm' in type(m).__name__]
    assert not any(norm.training for norm in norms)


def test_frozen_stages_stay_frozen():
    cfg = detr_toys.forgetting_cfg(
        'ddetr', method=dict(type='FineTune'), train='all')
    cfg['detector']['backbone']['frozen_stages'] = 1
    model = detr_toys.MODELS.build(cfg)
    model.train()
    keys = model.trained_keys()
    assert not any('backbone.layer1' in k or 'conv1' in k and 'layer' not in k
                   for k in keys)
    assert any('backbone.layer2' in k for k in keys)


@pytest.mark.parametrize('train', [
    'most', [], {},
    dict(only='a'),
    dict(include=3),
    dict(include=['nowhere'])
])
def test_bad_choices_are_one_line(train):
    with pytest.raises(ForgetError, match=r'^forget\.train'):
        vit_toys.build_forgetting(
            'vit', method=dict(type='FineTune'), train=train)


@pytest.mark.parametrize('variant', TASKS)
def test_teacher_is_the_plain_model_and_stays_so(variant):
    model = build(variant)
    assert set(model.state_dict()) == set(plain(variant).state_dict())
    own = {id(p) for p in model.parameters()}
    assert own.isdisjoint(map(id, model.teacher.parameters()))
    inputs, samples = TASKS[variant].batch()
    check_agreement(model, inputs, samples)
    changed_by_a_step(model, variant)
    with pytest.raises(ForgetError, match='teacher is not the original'):
        check_agreement(model, inputs, samples)
    expected = plain(variant).state_dict()
    found = model.teacher.state_dict()
    assert all(torch.equal(found[k], expected[k]) for k in expected)
    model.train()
    assert not any(m.training for m in model.teacher.modules())
    model.double()
    assert all(p.dtype == torch.double for p in model.teacher.parameters())


@pytest.mark.parametrize('variant', TASKS)
def test_streams_hold_what_both_say(variant):
    model, base = build(variant), plain(variant)
    toys, (inputs, samples) = TASKS[variant], TASKS[variant].batch()
    asked, whole = [], model.teacher.extract_feat
    model.teacher.extract_feat = lambda x: asked.append(len(x)) or whole(x)
    model.loss(inputs, samples)
    assert asked == [len(inputs)]
    for stream, terms in zip(('forget', 'retain'), model.method.seen):
        index = [i for i, s in enumerate(samples)
                 if s.metainfo['stream'] == stream]  # yapf: disable
        with torch.no_grad():
            expected = base(inputs, samples, mode='tensor')
        if toys is detr_toys:
            scores, boxes = (value[-1][index] for value in expected)
            torch.testing.assert_close(terms.teacher.boxes, boxes)
            torch.testing.assert_close(terms.student.boxes, boxes)
            objects = [len(samples[i].gt_instances) for i in index]
            found = terms.student.labels < detr_toys.NUM_CLASSES
            assert found.sum(1).tolist() == objects
        else:
            scores = expected[index]
            assert terms.student.labels.shape == (len(index), )
        for said in (terms.student, terms.teacher):
            torch.testing.assert_close(said.logits, scores, rtol=1e-4,
                                       atol=1e-4)  # yapf: disable
            assert said.embeddings.shape[:-1] == scores.shape[:-1]
            assert said.sigmoid == (variant == 'ddetr')
        assert terms.student.logits.requires_grad
        assert not terms.teacher.logits.requires_grad


@pytest.mark.parametrize('variant', ['vit', 'ddetr'])
def test_forget_images_get_wrong_labels(variant):
    model, (inputs, samples) = build(variant), TASKS[variant].batch()
    detects = TASKS[variant] is detr_toys

    def labels(some, stream):
        some = [s for s in some if s.metainfo['stream'] == stream]
        return torch.cat([s.gt_instances.labels if detects else s.gt_label
                          for s in some])  # yapf: disable

    before = {s: labels(samples, s).clone() for s in ('forget', 'retain')}
    model.generator.manual_seed(7)
    model.loss(inputs, samples)
    for stream in before:
        assert torch.equal(labels(samples, stream), before[stream])
    forget, retain = model.method.seen
    found = {}
    for stream, terms in (('forget', forget), ('retain', retain)):
        seen = terms.student.labels
        found[stream] = seen[seen < model.num_classes()] if detects else seen
    assert sorted(found['retain'].tolist()) == sorted(
        before['retain'].tolist())
    again = model.method.relabel(
        before['forget'], model.num_classes(),
        torch.Generator().manual_seed(7)) if not detects else None
    if not detects:
        assert torch.equal(found['forget'], again)
        assert not (found['forget'] == before['forget']).any()
    assert sorted(found['forget'].tolist()) != sorted(
        before['forget'].tolist())


def test_queries_of_two_stages_are_not_compared():
    with pytest.raises(ForgetError, match='Both.*as_two_stage=False'):
        detr_toys.build_forgetting(
            'ddetr_two_stage', method=dict(type='Both'), train='all')


@pytest.mark.parametrize('variant, layers, rows', [
    ('detr', 1, detr_toys.NUM_CLASSES + 1),
    ('ddetr', 2, detr_toys.NUM_CLASSES),
    ('ddetr_two_stage', 2, detr_toys.NUM_CLASSES),
    ('dino', 3, detr_toys.NUM_CLASSES),
])
def test_rows_of_detectors(variant, layers, rows):
    model = detr_toys.build_forgetting(variant)
    state, found = model.state_dict(), model.class_row_keys()
    assert len(found) == layers
    assert all(len(state[key]) == rows for keys in found for key in keys)


@pytest.mark.parametrize('variant, keys', [
    ('vit', [('head.layers.head.weight', 'head.layers.head.bias')]),
    ('cosface', [('head.weight', None)]),
    ('deit_distilled', [
        ('head.layers.head.weight', 'head.layers.head.bias'),
        ('head.layers.head_dist.weight', 'head.layers.head_dist.bias')
    ]),
])
def test_rows_of_classifiers(variant, keys):
    assert vit_toys.build_forgetting(variant).class_row_keys() == keys


def test_layers_that_share_a_classifier_still_share_it():
    model = detr_toys.build_forgetting('ddetr')
    state = detr_toys.plain_detector('ddetr').state_dict()
    context = SimpleNamespace(
        model=model,
        forget=[1, 3],
        retain=[0, 2, 4],
        generator=torch.Generator().manual_seed(0))
    found = RowReset(gap=2.).edit(dict(state), context)
    (first, bias), (second, _) = model.class_row_keys()
    assert torch.equal(found[first], found[second])
    assert torch.equal(found[first][[0, 2, 4]], state[first][[0, 2, 4]])
    assert (found[bias][[1, 3]] == state[bias][[0, 2, 4]].min() - 2.).all()
    # As large as the rows that stay, and other rows than before.
    ratio = found[first][[1, 3]].std() / state[first][[0, 2, 4]].std()
    assert .7 < ratio < 1.4
    changed = [k for k in state if not torch.equal(found[k], state[k])]
    assert all('cls_branches' in key for key in changed)
