"""The objective of the counterfactual teacher, term by term."""
import pytest
import torch
from method_toys import leaf, total

from gslora_mm.lora import NoGroups
from gslora_mm.methods import CounterfactualTeacher, GSLoRA
from gslora_mm.methods.matching import (box_distance, excess, looking_queries,
                                        raised, relative_error,
                                        score_divergence, token_weights)
from gslora_mm.models import StreamLoss, StreamOutputs
from gslora_mm.utils import ForgetError

NONE = dict(memory=0., embeddings=0., scores=0., boxes=0., push=0.)


def outputs(seed):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator).requires_grad_()

    layers = draw(2, 3, 4, 6)
    return StreamOutputs(
        draw(2, 4, 5),
        layers[:, -1],
        boxes=draw(2, 4, 4),
        sigmoid=True,
        middle=draw(2, 12, 6),
        layers=layers,
        grids=[(2, 4), (2, 2)])


def stream(seed, same=False):
    found = StreamLoss([leaf(3.)], dict(bbox=leaf(.5)))
    found.student = outputs(seed)
    found.teacher = outputs(seed if same else seed + 1)
    found.painted = [torch.tensor([[-2., -2., .4, .4]]), torch.zeros(0, 4)]
    found.extents = torch.ones(2, 2)
    return found


def method_of(**options):
    method = CounterfactualTeacher(**{**dict(mask=False), **options})
    method.forgotten = [1, 3]
    return method


def error(found, wanted, weights=None, share=.5):
    """Feature error, word for word."""
    counts = torch.ones(found.shape[:-1]) if weights is None else weights
    covariance = found.detach()[counts > 0].T.cov(correction=0)
    ridge = .02 * covariance.trace() / len(covariance)
    inverse = (covariance + ridge * torch.eye(len(covariance))).inverse()
    gaps = found - wanted
    squares = torch.einsum('...i,ij,...j->...', gaps, inverse, gaps)
    return (relative_error(found, wanted, weights) + share *
            (counts * squares).mean() / found.shape[-1])


def expected_terms(seen, inside=9., mask=(), queries=9., share=.5, most=1.):
    student, teacher = seen.student, seen.teacher
    weights = token_weights(student.grids, 12, seen.painted, seen.extents,
                            inside, most)
    looks = looking_queries(student.boxes, seen.painted, seen.extents)
    counts = raised(looks, queries, most)
    layers = [
        error(student.layers[:, i], teacher.layers[:, i], counts, share)
        for i in range(3)
    ]
    return dict(
        memory=error(student.middle, teacher.middle, weights, share),
        embeddings=sum(layers) / 3,
        scores=score_divergence(student, teacher, mask),
        boxes=box_distance(student, teacher),
        push=excess(student, teacher, [1, 3]))


def test_sum_of_weighted_terms():
    forget, retain = stream(1), stream(5)
    weights = dict(memory=2., embeddings=3., scores=.5, boxes=4., push=.25)
    method = method_of(
        **weights,
        forget=1.5,
        retain=.7,
        inside=5.,
        queries=3.,
        mahalanobis=.2)
    found = method.losses(forget, retain, NoGroups())
    by_stream = {
        'forget': expected_terms(forget, 5., queries=3., share=.2),
        'retain': expected_terms(retain, 5., queries=3., share=.2)
    }
    for name, weight in weights.items():
        torch.testing.assert_close(
            found[f'loss_{name}'],
            weight *
            (1.5 * by_stream['forget'][name] + .7 * by_stream['retain'][name]))
        for key, terms in by_stream.items():
            torch.testing.assert_close(found[f'{key}/{name}'],
                                       terms[name].detach())
    assert not any('loss' in k for k in found if '/' in k)


@pytest.mark.parametrize('name', ['memory', 'embeddings', 'scores', 'boxes',
                                  'push'])  # yapf: disable
def test_one_term_alone(name):
    forget = stream(1)
    method = method_of(**{**NONE, name: 2.})
    found = method.losses(forget, None, NoGroups())
    torch.testing.assert_close(total(found), 2. * expected_terms(forget)[name])
    assert method.needs_middle == (name == 'memory')


def test_options_of_terms():
    forget = stream(1)
    last = stream(1)
    last.student.layers = last.teacher.layers = None
    looks = looking_queries(last.student.boxes, last.painted, last.extents)
    assert looks.any() and not looks.all()
    found = method_of(layers='last').distances(last)
    torch.testing.assert_close(
        found['embeddings'],
        error(last.student.embeddings, last.teacher.embeddings,
              raised(looks, 9., 1.)))
    assert not method_of(layers='last').needs_layers
    found = method_of(mask=True).distances(forget)
    torch.testing.assert_close(found['scores'],
                               expected_terms(forget, mask=[1, 3])['scores'])
    found = method_of(queries=1., mahalanobis=0.).distances(forget)
    wanted = expected_terms(forget, queries=1., share=0.)
    for name in ('memory', 'embeddings'):
        torch.testing.assert_close(found[name], wanted[name])
    tight, free = {}, {}
    for most, terms in ((.1, tight), (None, free)):
        terms.update(method_of(most=most).distances(forget))
        wanted = expected_terms(forget, most=most)
        for name in ('memory', 'embeddings'):
            torch.testing.assert_close(terms[name], wanted[name])
    # All count the same where there is no room.
    even = expected_terms(forget, inside=1., queries=1.)
    for name in ('memory', 'embeddings'):
        torch.testing.assert_close(tight[name], even[name])
        assert tight[name] != free[name]
    found = method_of(inside=None).distances(forget)
    torch.testing.assert_close(
        found['memory'], error(forget.student.middle, forget.teacher.middle))


def test_what_the_teacher_found_counts_as_painted():
    """Found boxes are as labelled ones, and those of no query are nothing."""
    labelled, found = stream(1), stream(1)
    box = torch.tensor([-1., .2, .8, 1.4])
    labelled.painted[1] = box[None]
    found.teacher.found = torch.full((2, 4, 4), torch.nan)
    found.teacher.found[1, 2] = box
    method, nothing = method_of(), method_of().distances(stream(1))
    wanted = method.distances(labelled)
    for name, value in method.distances(found).items():
        assert torch.equal(value, wanted[name])
    for name in ('memory', 'embeddings'):
        assert not torch.equal(wanted[name], nothing[name])


def test_masks_by_default():
    forget = stream(1)
    method = CounterfactualTeacher()
    method.forgotten = [1, 3]
    found = method.distances(forget)
    torch.testing.assert_close(found['scores'],
                               expected_terms(forget, mask=[1, 3])['scores'])


def test_nothing_to_learn_where_both_say_the_same():
    forget, retain = stream(1, same=True), stream(5, same=True)
    for seen in (forget, retain):
        seen.painted = [torch.zeros(0, 4)] * 2
    found = total(method_of(push=1.).losses(forget, retain, NoGroups()))
    assert found.item() == pytest.approx(0, abs=1e-6)
    found.backward()
    for seen in (forget, retain):
        for value in (seen.student.logits, seen.student.boxes,
                      seen.student.middle, seen.student.layers):
            assert value.grad is None or value.grad.abs().max() < 1e-7


def test_teachers_get_no_gradient():
    forget = stream(1)
    total(method_of(push=1.).losses(forget, None, NoGroups())).backward()
    for value in forget.teacher.tensors().values():
        assert not value.is_leaf or value.grad is None


def test_published_forget_loss_beside():
    forget = stream(1)
    method = method_of(beta=.2, bound=10.)
    assert method.needs_losses == ('forget', )
    assert not method_of().needs_losses
    found = method.losses(forget, None, NoGroups())
    assert found['loss_forget'].item() == pytest.approx(.2 * (7. + .5))
    assert found['forget/cls'].item() == 3.
    method = CounterfactualTeacher(beta=.2)
    method.default_bound(15.)
    assert method.bound == 15.


def test_retain_stream_is_optional():
    assert method_of().phase(0) == ('forget', 'retain')
    assert method_of(retain=0).phase(0) == ('forget', )


class Groups:
    """Counts proximal steps."""

    def __len__(self):
        return 2

    def __init__(self):
        self.thresholds = []

    def penalty(self):
        return torch.tensor(6.)

    def settle_zero_layers(self, detach):
        pass

    def settle_zero_groups(self):
        pass

    def soft_threshold_(self, threshold):
        self.thresholds.append(threshold)


@pytest.mark.parametrize('kind', [CounterfactualTeacher, GSLoRA])
def test_group_sparsity_is_that_of_gs_lora(kind):
    groups = Groups()
    method = kind(alpha=10., sparsity_start=1, sparsity_end=3)
    for epoch in range(4):
        method.start_epoch(epoch, groups)
        method.after_step(groups, .5)
    assert groups.thresholds == [5., 5., 0.] and method.uses_lr
    groups = Groups()
    method = kind(alpha=0., sparsity_start=1, sparsity_end=3)
    for epoch in range(4):
        method.start_epoch(epoch, groups)
        method.after_step(groups, .5)
    assert groups.thresholds == [0.]
    method = kind(alpha=10., mode='subgradient')
    assert not method.uses_lr
    if kind is CounterfactualTeacher:
        found = method.losses(stream(1), None, groups)
        assert found['loss_structure'].item() == 60.


@pytest.mark.parametrize('options, message', [
    (dict(memory=-1), 'memory of CounterfactualTeacher must be a number'),
    (dict(inside='a'), 'inside of CounterfactualTeacher'),
    (dict(most=-1), 'most of CounterfactualTeacher must be a number'),
    (dict(layers='first'), "layers of CounterfactualTeacher must be one of"),
    (dict(unlabelled=0), 'unlabelled of CounterfactualTeacher is 0'),
    (dict(unlabelled=1.5), 'unlabelled of CounterfactualTeacher is 1.5'),
    (dict(unlabelled='all'), 'unlabelled of CounterfactualTeacher'),
    (dict(forget=0), 'needs a weight above 0'),
    (NONE, 'needs a weight above 0'),
    (dict(mode='l1'), 'mode of CounterfactualTeacher'),
    (dict(sparsity_start=3, sparsity_end=2), 'must come after'),
    (dict(teacher_cache=-5), 'teacher_cache of CounterfactualTeacher'),
])
def test_bad_arguments(options, message):
    with pytest.raises(ForgetError, match=message) as caught:
        CounterfactualTeacher(**options)
    assert '\n' not in str(caught.value)
