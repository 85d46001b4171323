"""Prototypes of a run, against plain models on images read by hand."""
import json
import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import tiny_classifier
import tiny_run
import torch
from kill_and_resume import differences
from mmdet.apis import init_detector
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData
from scipy.optimize import linear_sum_assignment
from scipy.spatial import distance
from scipy.special import softmax
from scipy.stats import entropy
from tiny_run import run_sequence

from gslora_mm.engine import prototypes, read_config
from gslora_mm.engine.settings import ForgetSettings
from gslora_mm.lora import fingerprint
from gslora_mm.methods import load_prototypes
from gslora_mm.models.cpu_deformable_attention import (CPUDeformableAttention,
                                                       available)
from gslora_mm.utils import ForgetError

METHOD = {
    'forget.method.type': 'GSLoRAPlusPlus',
    'forget.method.prototype_forget': .5,
    'forget.method.prototype_retain': [.5, 50.]
}
FILE = 'prototypes.safetensors'
CLASSES = tiny_classifier.CLASSES


def read(path):
    return json.loads(path.read_text())


def state_of(path):
    return torch.load(path, weights_only=True)['state_dict']


def finished(folder, module, **options):
    config = module.write_config(folder / 'own.py')
    run_sequence(config, folder / 'run', **{**METHOD, **options})
    return SimpleNamespace(config=config, run=folder / 'run', options=options)


@pytest.fixture(scope='module')
def done(tmp_path_factory):
    """A finished run of a classifier; read only."""
    return finished(tmp_path_factory.mktemp('prototypes'), tiny_classifier)


def resume(done, run):
    return run_sequence(
        done.config, run, resume=True, **{
            **METHOD,
            **done.options
        })


@pytest.fixture
def half(done, tmp_path):
    """A copy of the run whose second request has not begun."""
    copy = tmp_path / 'half'
    shutil.copytree(done.run, copy)
    shutil.rmtree(copy / 'request_02')
    return copy


def class_means(config, checkpoint, subset, change=None):
    """Means of what enters the last layer of the plain model.

    Args:
        config (Path): The config.
        checkpoint (Path): Weights.
        subset (Path): Which images, as training wrote it.
        change (Callable, optional): Gives a copy of each image (H, W, 3).

    Returns:
        tuple[ndarray, ndarray, ndarray, ndarray]: Means (C, D), zeros where
        there is no image; counts; logits of the means; and mean distances
        from them (C, 3).
    """
    chosen = read(subset)
    names = chosen['forget']['file_names'] + chosen['retain']['file_names']
    root = tiny_classifier.images_root() / 'train'
    images = [cv2.imread(str(root / name)) for name in names]
    labels = [CLASSES.index(name.partition('/')[0]) for name in names]
    if change:
        images += [change(image) for image in images]
        labels *= 2
    model = tiny_classifier.plain_model(config)
    model.load_state_dict(state_of(checkpoint))
    seen = []
    model.head.fc.register_forward_pre_hook(
        lambda module, args: seen.append(args[0].double().numpy()))
    tiny_classifier.logits_of(model, np.stack(images))
    labels = np.array(labels)
    means = np.stack([
        seen[0][labels == c].mean(0) if (labels == c).any() else 0 * seen[0][0]
        for c in range(len(CLASSES))
    ])
    fc = {k: v.double().numpy() for k, v in model.head.fc.state_dict().items()}
    logits = means @ fc['weight'].T + fc['bias']
    spreads = np.zeros((len(CLASSES), 3))
    for c in set(labels.tolist()):
        own = seen[0][labels == c]
        spreads[c] = [
            entropy(softmax(means[c]), softmax(own, axis=1), axis=-1).mean(),
            entropy(
                softmax(logits[c]),
                softmax(own @ fc['weight'].T + fc['bias'], axis=1),
                axis=-1).mean(),
            np.mean([distance.cosine(z, means[c]) for z in own])
        ]
    counts = np.bincount(labels, minlength=len(CLASSES))
    return means, counts, logits, spreads


def assert_means(found, expected):
    values = (found.embeddings, found.counts, found.logits, found.spreads)
    for value, truth in zip(values, expected):
        np.testing.assert_allclose(value, truth, rtol=1e-4, atol=1e-5)


def test_prototypes_are_the_class_means_of_the_original_model(done):
    """Of the loaded weights: random ones, or merged ones, give others."""
    found, about = load_prototypes(done.run / FILE)
    subset = done.run / 'request_01/subset.json'
    base = tiny_classifier.base_checkpoint()
    assert_means(found, class_means(done.config, base, subset))
    assert about['options'] == dict(source='mean', copies=0, augment=None)
    later = done.run / 'request_01/merged.pth'
    other = class_means(done.config, later, subset)[0]
    assert abs(other - found.embeddings.numpy()).max() > .01
    # Half of eight images, none of the unseen class.
    assert found.counts.tolist() == [
        0 if name in tiny_classifier.UNSEEN else 4 for name in CLASSES
    ]


def test_every_request_uses_the_same_file(done):
    """And its own weight of the lists."""
    for index in (1, 2):
        folder = done.run / f'request_{index:02d}'
        method = Config.fromfile(folder / 'config.py').model.method
        assert method.prototypes == str(done.run / FILE)
        assert method.prototype_retain == METHOD[
            'forget.method.prototype_retain'][index - 1]
        log, = folder.rglob('scalars.json')
        first = json.loads(log.read_text().splitlines()[0])
        assert first['loss_prototype'] > 0
        expected = method.prototype_forget * (
            18 - first['forget/prototype']
        ) + method.prototype_retain * first['retain/prototype']
        assert first['loss_prototype'] == pytest.approx(expected, rel=1e-4)
        kept = read(folder / 'groups.json')['method']
        assert 'prototypes' not in kept and kept['type'] == 'GSLoRAPlusPlus'


def test_resumed_run_reuses_them_and_ends_the_same(done, half, monkeypatch):
    before = (half / FILE).stat().st_mtime_ns
    with monkeypatch.context() as patch:
        patch.setattr(prototypes, 'compute_prototypes', None)
        resume(done, half)
    assert (half / FILE).stat().st_mtime_ns == before
    assert list(differences(done.run, half)) == []
    # A finished run needs them no more.
    with monkeypatch.context() as patch:
        patch.setattr('gslora_mm.engine.sequence.prepare_prototypes', None)
        resume(done, half)


def test_lost_prototypes_are_computed_again(done, half):
    (half / FILE).unlink()
    resume(done, half)
    assert (half / FILE).read_bytes() == (done.run / FILE).read_bytes()
    assert list(differences(done.run, half)) == []


@pytest.mark.parametrize('key, value, message', [
    ('base_fingerprint', 'f00', 'belong to another base model'),
    ('images', 'f00', 'belong to other training images'),
    ('options', dict(source='weight'), 'belong to another forget.prototypes'),
])
def test_prototypes_of_another_run_are_refused(done, half, key, value,
                                               message):
    found, about = load_prototypes(half / FILE)
    found.save(half / FILE, {**about, key: value})
    with pytest.raises(ForgetError, match=message) as caught:
        resume(done, half)
    assert '\n' not in str(caught.value)
    assert not (half / 'request_02').exists()


def test_prototypes_of_another_base_are_refused(done, half, tmp_path):
    """Not by its name, by its weights."""
    state = state_of(tiny_classifier.base_checkpoint())
    state['head.fc.bias'] += 1
    cfg = read_config(str(done.config), METHOD)
    with pytest.raises(ForgetError, match='another base model'):
        prototypes.prepare_prototypes(cfg, ForgetSettings.from_config(cfg),
                                      state, fingerprint(state), half)


def test_damaged_prototypes(done, half):
    (half / FILE).write_bytes(b'no tensors')
    with pytest.raises(ForgetError, match='prototypes.safetensors is no file'):
        resume(done, half)


def prepared(config, folder, **options):
    """Prototypes alone, without a run."""
    cfg = read_config(str(config), {**METHOD, **options})
    settings = ForgetSettings.from_config(cfg)
    state = state_of(cfg.load_from)
    prototypes.prepare_prototypes(cfg, settings, state, 'print', folder)
    return load_prototypes(folder / FILE)[0]


def copies(count, *augment):
    options = {'forget.prototypes.copies': count}
    if augment:
        options['forget.prototypes.augment'] = list(augment)
    return options


def test_augmentation_is_applied(done, tmp_path):
    """One copy in negative colours, by hand as well."""
    found = prepared(done.config, tmp_path,
                     **copies(1, dict(type='Invert', prob=1.)))
    subset = tmp_path / 'request_01/subset.json'
    base = tiny_classifier.base_checkpoint()
    expected = class_means(done.config, base, subset, lambda x: 255 - x)
    assert_means(found, expected)
    plain = class_means(done.config, base, subset)
    assert abs(expected[0] - plain[0]).max() > .01


def test_augmentation_by_default_is_random_and_repeatable(done, tmp_path):
    plain = load_prototypes(done.run / FILE)[0]
    before = np.random.get_state()
    first = prepared(done.config, tmp_path / 'a', **copies(3))
    # Their seeds are their own.
    for old, new in zip(before, np.random.get_state()):
        assert np.array_equal(old, new)
    for workers in (0, 1):
        again = prepared(done.config, tmp_path / f'b{workers}', **copies(3),
                         **{'val_dataloader.num_workers': workers})
        assert torch.equal(first.embeddings, again.embeddings)
    assert first.counts.tolist() == (4 * plain.counts).tolist()
    assert (first.embeddings - plain.embeddings).abs().max() > .01
    # The images that random transforms gave are not all the same.
    one = prepared(done.config, tmp_path / 'c', **copies(1))
    assert (first.embeddings - one.embeddings).abs().max() > 1e-3


def test_rows_of_the_last_layer(done, tmp_path):
    found = prepared(done.config, tmp_path,
                     **{'forget.prototypes.source': 'weight'})
    state = state_of(tiny_classifier.base_checkpoint())
    assert torch.equal(found.embeddings, state['head.fc.weight'])
    assert found.counts.tolist() == [1] * len(CLASSES)
    assert not found.spreads.any() and found.spreads.shape == (len(CLASSES), 3)
    expected = state['head.fc.weight'] @ state['head.fc.weight'].T
    torch.testing.assert_close(found.logits, expected + state['head.fc.bias'])


def test_other_processes_compute_nothing(done, tmp_path, monkeypatch):
    """They wait for what the main process sends, its error included."""
    sent = []
    monkeypatch.setattr(prototypes, 'is_main_process', lambda: False)
    monkeypatch.setattr(prototypes, 'compute_prototypes', None)
    monkeypatch.setattr(prototypes, 'broadcast_object_list', sent.append)
    cfg = read_config(str(done.config), METHOD)
    settings = ForgetSettings.from_config(cfg)
    prototypes.prepare_prototypes(cfg, settings, {}, '', tmp_path)
    assert sent == [[None]] and not (tmp_path / FILE).exists()

    def receive(outcome):
        outcome[0] = ForgetError('the disk is full')

    monkeypatch.setattr(prototypes, 'broadcast_object_list', receive)
    with pytest.raises(ForgetError, match='the disk is full'):
        prototypes.prepare_prototypes(cfg, settings, {}, '', tmp_path)


@pytest.fixture(scope='module')
def detection(tmp_path_factory):
    """A finished run of a detector; read only."""
    return finished(tmp_path_factory.mktemp('queries'), tiny_run)


def test_detector_has_the_rows_of_its_last_layer(detection):
    found, about = load_prototypes(detection.run / FILE)
    rows = state_of(
        tiny_run.base_checkpoint())['bbox_head.cls_branches.1.weight']
    assert torch.equal(found.embeddings, rows)
    assert about['options']['source'] == 'weight'
    log, = (detection.run / 'request_01').rglob('scalars.json')
    assert 'loss_prototype' in log.read_text().splitlines()[0]


def test_means_of_matched_queries(detection, tmp_path, monkeypatch):
    """Queries of plain mmdet, matched by scipy on the same costs."""
    # By the fast attention, as everything that trains and tests.
    used, fast = [], CPUDeformableAttention.apply
    monkeypatch.setattr(CPUDeformableAttention, 'apply',
                        lambda *args: used.append(1) or fast(*args))
    found = prepared(detection.config, tmp_path,
                     **{'forget.prototypes.source': 'mean'})
    assert used or not available()
    used.clear()
    model = init_detector(
        str(detection.config), str(tiny_run.base_checkpoint()), device='cpu')
    sums, counts = torch.zeros_like(found.embeddings), [0] * 15
    for image, boxes, labels in boxes_of(tmp_path / 'request_01/subset.json'):
        query, cost = queries_and_costs(model, image, boxes, labels)
        rows, columns = linear_sum_assignment(cost)
        for row, column in zip(rows, columns):
            sums[labels[column]] += query[row]
            counts[labels[column]] += 1
    assert not used  # mmcv's is in its place again
    assert found.counts.tolist() == counts and min(counts) > 0
    expected = sums / torch.tensor(counts)[:, None]
    torch.testing.assert_close(
        found.embeddings, expected, rtol=1e-3, atol=1e-4)


def boxes_of(subset):
    """Image (H, W, 3), boxes x1 y1 x2 y2 and labels, of both streams."""
    chosen, root = read(subset), tiny_run.shared_folder() / 'shapes'
    coco = read(root / 'annotations/train.json')
    names = {i['id']: i['file_name'] for i in coco['images']}
    ids = [c['id'] for c in coco['categories']]
    classes = [c['name'] for c in coco['categories']]
    for stream in ('forget', 'retain'):
        wanted = chosen['settings'][stream]
        for img_id in chosen[stream]['img_ids']:
            found = [
                a for a in coco['annotations'] if a['image_id'] == img_id
                and classes[ids.index(a['category_id'])] in wanted
            ]
            boxes = torch.tensor([a['bbox'] for a in found])
            boxes[:, 2:] += boxes[:, :2]
            labels = [ids.index(a['category_id']) for a in found]
            image = cv2.imread(str(root / 'train' / names[img_id]))
            yield image, boxes, labels


def queries_and_costs(model, image, boxes, labels):
    """Queries (Q, D) of the last layer, and what each match costs (Q, G)."""
    size = image.shape[:2]
    sample = DetDataSample(
        metainfo=dict(img_shape=size, ori_shape=size, scale_factor=(1., 1.)))
    data = dict(
        inputs=[torch.from_numpy(image.transpose(2, 0, 1).copy())],
        data_samples=[sample])
    data = model.data_preprocessor(data, False)
    with torch.no_grad():
        states = model.forward_transformer(
            model.extract_feat(data['inputs']), data['data_samples'])
        scores, normal = model.bbox_head(**states)
    height, width = size
    scale = torch.tensor([width, height, width, height])
    centre, half = normal[-1, 0, :, :2], normal[-1, 0, :, 2:] / 2
    pixels = torch.cat([centre - half, centre + half], 1) * scale
    pred = InstanceData(scores=scores[-1, 0], bboxes=pixels)
    truth = InstanceData(labels=torch.tensor(labels), bboxes=boxes)
    meta = dict(img_shape=size)
    costs = model.bbox_head.assigner.match_costs
    cost = sum(
        c(pred_instances=pred, gt_instances=truth, img_meta=meta)
        for c in costs)
    return states['hidden_states'][-1, 0], cost
