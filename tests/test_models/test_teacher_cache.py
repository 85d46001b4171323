"""What a teacher said is kept, and is what it says of the painted image."""
import pytest
import torch
from detr_toys import (SIZE, batch, build_forgetting, images, plain_detector,
                       randomise_lora, sample)

from gslora_mm.models.painted_images import painted_inputs, painted_places
from gslora_mm.models.teacher_cache import TeacherCache, image_key
from gslora_mm.utils import ForgetError

METHOD = dict(type='CounterfactualTeacher')
FIELDS = ('logits', 'embeddings', 'boxes', 'middle', 'layers')


def raw_images(samples, seed=0):
    """Images as they leave a pipeline, and what the model makes of them."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randint(
            256, (3, *s.img_shape), generator=generator, dtype=torch.uint8)
        for s in samples
    ]


def painted_batch(model):
    """Images of several shapes; some of both streams are painted."""
    inputs, samples = batch()
    raw = raw_images(samples)
    made = model.data_preprocessor(
        dict(inputs=raw, data_samples=samples), False)
    inputs, samples = made['inputs'], made['data_samples']
    for i, other in enumerate(raw_images(samples, 1)):
        if i in (0, 1, 3):
            samples[i].painted_inputs = other
            samples[i].painted_boxes = torch.tensor([[4., 6., 20., 30.]])
    return inputs, samples


@pytest.fixture(scope='module')
def built():
    """A detector that has learnt, and the plain one it came from."""
    plain = plain_detector('ddetr_refine').requires_grad_(False)
    made = {}
    for megabytes in (0, 100):
        model = build_forgetting(
            'ddetr_refine', method=dict(METHOD, teacher_cache=megabytes))
        for one in (model, model.teacher):
            one.load_state_dict(plain.state_dict(), strict=False)
        model.method.forgotten = [1]
        made[megabytes] = model
    return plain, made


def asked(model, inputs, samples):
    """The streams of a batch, with their teachers."""
    seen = {}

    def losses(forget, retain, groups):
        seen.update(forget=forget, retain=retain)
        return type(model.method).losses(model.method, forget, retain, groups)

    model.method.losses = losses
    try:
        seen['losses'] = model.loss(inputs, samples)
    finally:
        del model.method.losses
    return seen


@pytest.mark.parametrize('megabytes', [0, 100])
def test_the_teacher_is_the_plain_model_on_the_painted_image(built, megabytes):
    plain, model = built[0], built[1][megabytes]
    randomise_lora(model)
    model.clear_teacher_cache()
    inputs, samples = painted_batch(model)
    seen = asked(model, inputs, samples)
    # The plain model on the same batch, with the painted images in it.
    raw, other = raw_images(samples), raw_images(samples, 1)
    mixed = [other[i] if i in (0, 1, 3) else raw[i] for i in range(len(raw))]
    made = plain.data_preprocessor(
        dict(inputs=mixed, data_samples=[s.clone() for s in samples]), False)
    assert torch.equal(made['inputs'], painted_inputs(model, inputs, samples))
    with torch.no_grad():
        scores, boxes = plain(
            made['inputs'], made['data_samples'], mode='tensor')[:2]
    for stream, index in (('forget', [1, 3]), ('retain', [0, 2, 4])):
        taught = seen[stream].teacher
        torch.testing.assert_close(
            taught.logits, scores[-1][index], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            taught.boxes, boxes[-1][index], rtol=1e-4, atol=1e-5)
        assert taught.middle.shape == seen[stream].student.middle.shape
        assert taught.layers.shape[:2] == (len(index), 2)
        assert torch.equal(taught.layers[:, -1], taught.embeddings)
        # The student looks at the original.
        assert not torch.allclose(taught.logits, seen[stream].student.logits)
        assert seen[stream].student.labels is None


def test_kept_is_what_it_was_to_the_bit(built):
    model = built[1][100]
    model.clear_teacher_cache()
    inputs, samples = painted_batch(model)
    first = asked(model, inputs, samples)
    assert float(first['losses']['teacher/hits']) == 0
    assert len(model._cache) == 5
    # Others in the batch, in another order.
    order = [3, 4, 0]
    again = asked(model, inputs[order], [samples[i] for i in order])
    assert float(again['losses']['teacher/hits']) == 3 / 8
    assert len(model._cache) == 5
    model.clear_teacher_cache()
    anew = asked(model, inputs[order], [samples[i] for i in order])
    for field in FIELDS:
        found, kept, made = (
            getattr(x['forget'].teacher, field) for x in (first, again, anew))
        assert torch.equal(found[1], kept[0])
        assert torch.equal(kept, made)
        found, kept = (
            getattr(x['retain'].teacher, field) for x in (first, again))
        assert torch.equal(found[[2, 0]], kept)


def test_cached_and_uncached_losses_agree(built):
    inputs, samples = painted_batch(built[1][0])
    plain, cached = (
        asked(built[1][m], inputs, samples)['losses'] for m in (0, 100))
    for key in plain:
        torch.testing.assert_close(
            cached[key], plain[key], rtol=1e-4, atol=1e-5)


def steepest(model, inputs, samples):
    """Largest entry of the gradient of a batch."""
    model.zero_grad()
    sum(v for k, v in model.loss(inputs, samples).items()
        if 'loss' in k).backward()
    return max(p.grad.abs().max() for p in model.parameters()
               if p.requires_grad)  # yapf: disable


# The slope of an L1 distance is not small where the distance is: what the
# cache holds was computed for one image alone.
@pytest.mark.parametrize('options, noise', [
    (dict(teacher_cache=0), 1e-6),
    (dict(teacher_cache=9, boxes=0.), 1e-4),
])
def test_no_gradient_at_the_start_without_painting(built, options, noise):
    model = build_forgetting('ddetr_refine', method=dict(METHOD, **options))
    for one in (model, model.teacher):
        one.load_state_dict(built[0].state_dict(), strict=False)
    assert steepest(model, *batch()) < noise
    assert steepest(model, *painted_batch(model)) > 1e-2


def test_nothing_is_matched(built, monkeypatch):
    head = type(built[1][0].bbox_head)
    monkeypatch.setattr(head, 'get_targets',
                        lambda *a, **k: pytest.fail('matched'))
    built[1][0].loss(*painted_batch(built[1][0]))


def test_places_are_shares_of_the_padded_image(built):
    inputs, samples = painted_batch(built[1][0])
    boxes, extents = painted_places(samples, inputs)
    assert [len(b) for b in boxes] == [1, 1, 0, 1, 0]
    expected = torch.tensor([[4., 6., 20., 30.]]) / SIZE
    torch.testing.assert_close(boxes[1], expected)
    assert extents[1].tolist() == [1., 48 / 64]
    assert extents[2].tolist() == [40 / 64, 1.]


def test_resized_images_are_refused(built):
    inputs, samples = painted_batch(built[1][0])
    samples[0].painted_inputs = samples[0].painted_inputs[:, ::2]
    with pytest.raises(ForgetError, match='remove batch_augments'):
        built[1][0].loss(inputs, samples)


def value(number, size=64):
    return dict(a=torch.full((size, ), float(number)))


def test_the_oldest_goes_first():
    # Two entries of 256 bytes.
    cache = TeacherCache(600 / 2**20)
    for key in (b'a', b'b', b'a', b'c', b'a', b'b'):
        found = cache.get(key, lambda key=key: value(key[0]))
        assert (found['a'] == key[0]).all()
        assert len(cache) <= 2 and cache.megabytes <= 600 / 2**20
    # Hits: the second and the third a; b was driven out by c.
    assert (cache.asked, cache.found) == (6, 2)
    # What is too large is not kept, and drives nothing out.
    cache.get(b'd', lambda: value(4, 1000))
    assert len(cache) == 2


def test_half_precision():
    cache, made = TeacherCache(1, half=True), torch.randn(5)
    for _ in range(2):
        found = cache.get(b'a', lambda: dict(a=made, b=torch.tensor([7])))
        assert torch.equal(found['a'], made.half())
        assert found['b'].dtype == torch.int64
    assert cache.found == 1


def test_key_is_of_all_that_matters():
    image = images(1)[0]
    one = sample('retain', 1, 0)
    keys = {
        image_key(image, one),
        image_key(image + 1e-6, one),
        image_key(image, sample('retain', 1, 0, (48, 64))),
        image_key(image[:, :32], one),
        image_key(image.reshape(3, 32, 128), one),
    }
    assert len(keys) == 5
    assert image_key(image.clone(), sample('forget', 3, 9)) in keys
