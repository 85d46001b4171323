"""Every term of GS-LoRA's loss, written out in numpy from the papers.

Sigmoid focal loss (Lin et al.), L1 and GIoU (Rezatofighi et al.) on the
Hungarian matching of DETR (Carion et al.); nothing of mmdet is used but the
model's raw outputs.
"""
import numpy as np
import pytest
import torch
from detr_toys import batch, of_stream, randomise_lora
from scipy.optimize import linear_sum_assignment

from gslora_mm.methods import GSLoRA

ALPHA, GAMMA = 0.25, 2
L1_WEIGHT, GIOU_WEIGHT = 5., 2.


def _numpy(tensor):
    return tensor.detach().double().numpy()


def _outputs(model, inputs, samples):
    """Logits and boxes (cx, cy, w, h) of the last decoder layer."""
    model.eval()
    with torch.no_grad():
        states = model.forward_transformer(model.extract_feat(inputs), samples)
        logits, boxes = model.bbox_head(**states)
    return _numpy(logits[-1]), _numpy(boxes[-1])


def _corners(boxes):
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return np.concatenate([centre - half, centre + half], -1)


def _area(boxes):
    return np.prod(boxes[..., 2:] - boxes[..., :2], -1)


def _giou(a, b):
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., 2:], b[..., 2:])
    overlap = np.prod(np.clip(high - low, 0, None), -1)
    union = _area(a) + _area(b) - overlap
    hull = np.concatenate([
        np.minimum(a[..., :2], b[..., :2]),
        np.maximum(a[..., 2:], b[..., 2:])
    ], -1)
    return overlap / union - 1 + union / _area(hull)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _focal_cost(logits, labels):
    p = _sigmoid(logits)[:, labels]
    positive = -ALPHA * (1 - p)**GAMMA * np.log(p)
    negative = -(1 - ALPHA) * p**GAMMA * np.log(1 - p)
    return 2. * (positive - negative)


def _focal_loss(logits, target, positives):
    p = _sigmoid(logits)
    is_class = np.arange(logits.shape[-1]) == target[:, None]
    loss = np.where(is_class, -ALPHA * (1 - p)**GAMMA * np.log(p),
                    -(1 - ALPHA) * p**GAMMA * np.log(1 - p))
    return 2. * loss.sum() / max(positives, 1)


def _softmax_cost(logits, labels):
    return -_softmax(logits)[:, labels]


def _softmax_loss(logits, target, positives):
    p = _softmax(logits)[np.arange(len(target)), target]
    background = target == logits.shape[-1] - 1
    weight = np.where(background, 0.1, 1.)
    return -(weight * np.log(p)).sum() / max(weight.sum(), 1)


KINDS = dict(
    detr=(_softmax_cost, _softmax_loss),
    ddetr=(_focal_cost, _focal_loss),
    ddetr_refine=(_focal_cost, _focal_loss),
    conditional=(_focal_cost, _focal_loss))


def _match(cost, logits, boxes, sample):
    """(queries, boxes, labels, image scale) of the Hungarian matching."""
    height, width = sample.img_shape
    scale = np.array([width, height, width, height], float)
    truth = _numpy(sample.gt_instances.bboxes)
    labels = sample.gt_instances.labels.numpy()
    normal = np.concatenate([(truth[:, :2] + truth[:, 2:]) / 2,
                             truth[:, 2:] - truth[:, :2]], 1) / scale
    total = cost(logits, labels)
    total = total + L1_WEIGHT * np.abs(boxes[:, None] - normal).sum(-1)
    pixels = _corners(boxes) * scale
    total = total - GIOU_WEIGHT * _giou(pixels[:, None], truth[None])
    rows, columns = linear_sum_assignment(total)
    return rows, normal[columns], truth[columns], labels[columns], scale


def _stream_terms(variant, model, inputs, samples):
    """Weighted classification, L1 and GIoU loss of some images."""
    cost, classification = KINDS[variant]
    logits, boxes = _outputs(model, inputs, samples)
    background = model.bbox_head.num_classes
    targets, l1, giou, positives = [], 0., 0., 0
    for score, box, sample in zip(logits, boxes, samples):
        target = np.full(len(score), background)
        if len(sample.gt_instances):
            rows, normal, truth, labels, scale = _match(
                cost, score, box, sample)
            target[rows] = labels
            l1 += np.abs(box[rows] - normal).sum()
            giou += (1 - _giou(_corners(box[rows]) * scale, truth)).sum()
            positives += len(rows)
        targets.append(target)
    cls = classification(
        np.concatenate(logits), np.concatenate(targets), positives)
    count = max(positives, 1)
    return cls, L1_WEIGHT * l1 / count, GIOU_WEIGHT * giou / count


def _group_norms(model):
    """Norm over A and B of both FFN linears, block by block."""
    squares = {}
    for name, param in model.named_parameters():
        if name.endswith(('lora_A', 'lora_B')):
            block = name.split('.ffn')[0]
            squares[block] = squares.get(block, 0) + (_numpy(param)**2).sum()
    return np.sqrt(list(squares.values()))


@pytest.fixture(params=list(KINDS))
def case(request, make_pair):
    """A model away from its start, and the terms of both streams."""
    model = make_pair(request.param).wrapped
    randomise_lora(model)
    terms = {
        stream: _stream_terms(request.param, model,
                              *of_stream(*batch(), stream))
        for stream in ('forget', 'retain')
    }
    method = model.method
    yield model, terms
    model.method = method


def _float(losses):
    return {key: float(value) for key, value in losses.items()}


def test_terms_of_both_streams(case):
    model, terms = case
    found = _float(model.loss(*batch()))
    for stream, expected in terms.items():
        for name, value in zip(('cls', 'bbox', 'iou'), expected):
            assert value > 0
            assert found[f'{stream}/{name}'] == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize('mode', ['proximal', 'subgradient'])
@pytest.mark.parametrize('bounded', [False, True])
def test_objective(case, bounded, mode):
    model, terms = case
    forget_cls = terms['forget'][0]
    bound = forget_cls * (0.5 if bounded else 3)
    beta, alpha = 0.3, 0.01
    model.method = GSLoRA(beta, alpha, bound=bound, mode=mode)
    losses = model.loss(*batch())
    retain = sum(terms['retain'])
    forget = beta * (max(bound - forget_cls, 0) + sum(terms['forget'][1:]))
    structure = alpha * _group_norms(model).sum()
    found = _float(losses)
    assert found['loss_retain'] == pytest.approx(retain, rel=1e-4)
    assert found['loss_forget'] == pytest.approx(forget, rel=1e-4)
    assert found['group_norm_sum'] == pytest.approx(structure / alpha)
    expected = retain + forget
    if mode == 'subgradient':
        assert found['loss_structure'] == pytest.approx(structure)
        expected += structure
    # What mmengine really minimises: nothing that is only logged is in it.
    total, _ = model.parse_losses(losses)
    assert float(total) == pytest.approx(expected, rel=1e-4)


def test_above_the_bound_only_the_boxes_of_forget_images_train(make_pair):
    model = make_pair('ddetr').wrapped
    randomise_lora(model)
    method = model.method
    focal = model.bbox_head.loss_cls
    weight = focal.loss_weight
    trained = [p for p in model.parameters() if p.requires_grad]

    def gradients(bound, cls_weight):
        model.method = GSLoRA(beta=1., bound=bound)
        focal.loss_weight = cls_weight
        loss = model.loss(*batch())['loss_forget']
        return torch.autograd.grad(loss, trained)

    try:
        boxes_only = gradients(15., 0.)
        above, below = gradients(0., weight), gradients(15., weight)
    finally:
        model.method, focal.loss_weight = method, weight
    assert all(g.any() for g in boxes_only)
    torch.testing.assert_close(above, boxes_only)
    assert not any(torch.allclose(a, b) for a, b in zip(below, boxes_only))


@pytest.mark.parametrize('variant', ['ddetr', 'ddetr_refine', 'conditional'])
def test_matched_queries_count_for_their_own_class_only(variant, make_pair):
    model = make_pair(variant).wrapped
    randomise_lora(model)
    model.train()
    model.forget_queries = 'matched'
    inputs, samples = batch()
    chosen = of_stream(inputs, samples, 'forget')
    logits, boxes = _outputs(model, *chosen)
    total, count = 0., 0
    for score, box, sample in zip(logits, boxes, chosen[1]):
        rows, _, _, labels, _ = _match(_focal_cost, score, box, sample)
        p = _sigmoid(score)[rows, labels]
        total += 2. * (-ALPHA * (1 - p)**GAMMA * np.log(p)).sum()
        count += len(rows)
    logged = model.loss(inputs, samples)
    model.forget_queries = 'all'
    everything = model.loss(inputs, samples)
    np.testing.assert_allclose(
        float(logged['forget/cls']), total / count, rtol=1e-4)
    # The retain stream and the boxes are as they were.
    for key in ('loss_retain', 'forget/bbox', 'forget/iou'):
        assert float(logged[key]) == float(everything[key])
    assert float(logged['forget/cls']) < float(everything['forget/cls'])
