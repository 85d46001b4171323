"""Few shots, data ratio and missing classes, in every combination.

What training would see is read from the training config of each request and
compared with annotation file or folders.
"""
import json
from collections import Counter
from functools import lru_cache
from pathlib import Path

import pandas as pd
import pytest
import tiny_classifier
import tiny_run
from mmengine.registry import DATASETS
from mmengine.runner import TestLoop

from gslora_mm.datasets.shapes import SHAPES
from gslora_mm.engine import ForgetSettings, read_config
from gslora_mm.engine.request_config import training_config
from gslora_mm.engine.tasks import task_of

REQUESTS = dict(
    detector=[['circle', 'star'], ['hexagon'], ['heart', 'drop']],
    classifier=[['coral'], ['amber', 'jade']])
UNSEEN = dict(detector=['ring', 'cross'], classifier=['ebony'])
CLASSES = dict(detector=SHAPES, classifier=tiny_classifier.CLASSES)
# Big enough for a few images of every class without two others.
RECIPE = dict(num_train=150, num_val=4, seed=5, size=32)


@lru_cache(maxsize=None)
def config_of(kind):
    folder = tiny_run.shared_folder()
    if kind == 'detector':
        return tiny_run.write_config(
            folder / 'practical.py',
            data_root=f'{folder}/practical_shapes',
            recipe=RECIPE)
    # Here every class has training images.
    root = tiny_classifier.write_images(folder / 'practical', unseen=())
    return tiny_classifier.write_config(
        folder / 'practical_classifier.py', data_root=str(root), unseen=())


@lru_cache(maxsize=None)
def truth_of(kind):
    """dict[str, list[str]]: Class names of the objects in each image."""
    folder = tiny_run.shared_folder()
    if kind == 'classifier':
        return {
            f'{path.parent.name}/{path.name}': [path.parent.name]
            for path in (folder / 'practical/train').rglob('*.png')
        }
    file, = (folder / 'practical_shapes').rglob('*train*.json')
    content = json.loads(file.read_text())
    names = {c['id']: c['name'] for c in content['categories']}
    truth = {i['file_name']: [] for i in content['images']}
    files = {i['id']: i['file_name'] for i in content['images']}
    for ann in content['annotations']:
        truth[files[ann['image_id']]].append(names[ann['category_id']])
    return truth


def streams_of(kind, requests, unseen, **data):
    """What training sees of each request.

    Yields:
        tuple: The request and, for each stream, a list with file name and
        names of the labels of every sample.
    """
    cfg = read_config(
        str(config_of(kind)), {
            'forget.requests': requests,
            'forget.unseen': unseen,
            'forget.data': dict(forget_per_batch=2, **data)
        })
    settings = ForgetSettings.from_config(cfg)
    task_of(cfg).check_data(cfg, settings.classes, settings.unseen)
    inner = None
    for request in settings.requests:
        run = training_config(cfg, settings, request, Path('none'), '', '')
        wrapper = dict(run.train_dataloader.dataset, subset_file=None)
        if inner is not None:
            wrapper['dataset'] = inner  # loaded once
        dataset = DATASETS.build(wrapper)
        inner = dataset.inner
        samples = dict(forget=[], retain=[])
        for i in range(len(dataset)):
            info = dataset.get_data_info(i)
            path = Path(info['img_path'])
            labels = ([b['bbox_label'] for b in info['instances']]
                      if kind == 'detector' else [int(info['gt_label'])])
            name = path.name
            if kind == 'classifier':
                name = f'{path.parent.name}/{name}'
            samples[info['stream']].append(
                (name, [settings.classes[label] for label in labels]))
        yield request, samples


def stay(kind, requests, unseen):
    """Of each request, the classes that training may show and keep."""
    gone = set()
    for classes in requests:
        gone |= set(classes)
        yield set(CLASSES[kind]) - gone - set(unseen)


def images_per_class(samples):
    return Counter(name for _, names in samples for name in set(names))


@pytest.mark.parametrize('kind', ['detector', 'classifier'])
@pytest.mark.parametrize('hide', [False, True], ids=['all', 'unseen'])
@pytest.mark.parametrize('data', [
    dict(ratio=0.5),
    dict(shots=2),
    dict(shots=4),
    dict(shots=2, shots_per_class=False)
], ids=['ratio', '2-shot', '4-shot', 'pool'])  # yapf: disable
def test_continual(kind, hide, data):
    check_run(kind, REQUESTS[kind], UNSEEN[kind] if hide else [], data)


@pytest.mark.parametrize('kind', ['detector', 'classifier'])
def test_single_step(kind):
    check_run(kind, REQUESTS[kind][:1], UNSEEN[kind], dict(shots=3))


def check_run(kind, requests, unseen, data):
    """Compare every sample of every request with the files."""
    truth = truth_of_all(kind)
    found = list(streams_of(kind, requests, unseen, **data))
    assert len(found) == len(requests)
    for (request, samples), kept in zip(found, stay(kind, requests, unseen)):
        for stream, classes in (('forget', set(request.classes)), ('retain',
                                                                   kept)):
            for name, labels in samples[stream]:
                # All boxes of the stream's classes and no others, on images
                # that show no unseen class.
                assert sorted(labels) == sorted(
                    n for n in truth[name] if n in classes) != []
                assert not set(truth[name]) & set(unseen)
            pool = [
                set(names) & classes for names in truth.values()
                if set(names) & classes and not set(names) & set(unseen)
            ]
            check_counts(samples[stream], pool, classes, data)


def check_counts(samples, pool, classes, data):
    """Whether as many images were drawn as asked for.

    Args:
        samples (list[tuple]): Those of the stream.
        pool (list[set]): The classes of the stream in each possible image.
        classes (set[str]): Those of the stream.
        data (dict): What was asked for.
    """
    counts = images_per_class(samples)
    if not data.get('shots_per_class', True):
        assert len(samples) == min(data['shots'] * len(classes), len(pool))
    elif 'shots' in data:
        # Exactly, though images of the detector show several classes.
        assert counts == {name: data['shots'] for name in classes}
    else:
        for name in classes:
            wanted = sum(name in names for names in pool) * data['ratio']
            assert abs(counts[name] - wanted) <= 1


@lru_cache(maxsize=None)
def truth_of_all(kind):
    """:func:`truth_of`, once the data is generated."""
    next(streams_of(kind, REQUESTS[kind][:1], []))
    return truth_of(kind)


def test_unseen_objects_without_their_boxes_on_demand():
    """The published handling of classes that are in no stream."""
    requests, truth = REQUESTS['detector'], truth_of_all('detector')
    unseen, shown = set(UNSEEN['detector']), 0
    for _, samples in streams_of(
            'detector', requests, [*unseen], shots=4, show_unseen=True):
        for name, labels in samples['forget'] + samples['retain']:
            assert not set(labels) & unseen
            shown += bool(set(truth[name]) & unseen)
    assert shown


def test_option_without_unseen_classes_is_no_error():
    assert len([*streams_of('classifier', [['jade']], [], show_unseen=True)])


def test_detector_measures_unseen_classes_in_the_same_pass(
        tmp_path, monkeypatch):
    config, passes, unseen = tiny_run.tiny_config(), [], ['ring', 'cross']
    run = TestLoop.run

    def counted(self):
        passes.append(len(self.dataloader.dataset))
        return run(self)

    monkeypatch.setattr(TestLoop, 'run', counted)
    requests = [['circle', 'star'], ['hexagon']]
    tiny_run.run_sequence(
        config, tmp_path / 'run', **{
            'forget.requests': requests,
            'forget.unseen': unseen,
            'forget.data.shots': 1,
            'train_cfg.max_epochs': 1
        })  # yapf: disable
    # The base model and each request: one pass over the whole split.
    assert passes == [tiny_run.RECIPE['num_val']] * 3
    table = pd.read_csv(tmp_path / 'run/summary.csv')
    text = (tmp_path / 'run/summary.md').read_text()
    summary = json.loads((tmp_path / 'run/summary.json').read_text())
    assert 'AP_m' in text
    for index, row in enumerate(summary['requests'], 1):
        folder = tmp_path / f'run/request_{index:02d}'
        report = json.loads((folder / 'report.json').read_text())
        for protocol in ('paper', 'coco'):
            values = row[protocol]
            own = report['sets'][f'{index:02d}_unseen'][protocol]
            assert set(own['per_class']) == set(unseen)
            expected = sum(own['per_class'].values()) / len(unseen)
            assert values['AP_m'] == pytest.approx(expected)
            line = table[(table.request == index)
                         & (table.protocol == protocol)].iloc[0]
            assert line.AP_m == pytest.approx(expected)
            assert line.AP_m_base == pytest.approx(values['AP_m_base'])
            assert f'{expected:.3f}' in text
        # Retained, so that they are part of AP_r as well.
        retain = report['sets'][f'{index:02d}_retain']['classes']
        assert set(unseen) <= set(retain)
