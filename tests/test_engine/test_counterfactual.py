"""Whole runs of the counterfactual teacher, and what is wrong in configs."""
import json
from pathlib import Path

import pytest
import tiny_classifier
import tiny_run
import torch

from gslora_mm.datasets import PaintedDataset
from gslora_mm.engine import read_config
from gslora_mm.engine.request_config import training_config
from gslora_mm.engine.settings import ForgetSettings
from gslora_mm.registry import DATASETS, METHODS
from gslora_mm.utils import ForgetError, read_json

CONFIGS = Path(__file__).resolve().parents[2] / 'configs/gslora'
SHIPPED = sorted(CONFIGS.glob('ddetr*counterfactual*.py'))
# The classes gone after the second request.
GONE = {
    'shapes': ['star', 'ring', 'heart', 'square', 'arrow', 'ellipse'],
    'bccd': ['Platelets', 'WBC'],
}
_TINY = """
_base_ = {base!r}
forget = dict(
    method=dict(
        _delete_=True, type='CounterfactualTeacher', mask=True, alpha=1.,
        sparsity_start=1{options}),
    painting=dict(fill='mean', margin=1))
"""


def write(folder, options=''):
    base = tiny_run.write_config(folder / 'base.py')
    path = folder / 'tiny.py'
    path.write_text(_TINY.format(base=str(base), options=options))
    return path


def run_config(cfg, number):
    settings = ForgetSettings.from_config(cfg)
    request = settings.requests[number]
    return settings, training_config(cfg, settings, request,
                                     Path('none') / request.name, '', '')


def test_every_request_paints_the_classes_so_far(tmp_path):
    cfg = read_config(str(write(tmp_path)))
    for number, gone in ((0, ['circle', 'star']),
                         (1, ['circle', 'star', 'hexagon', 'heart'])):
        settings, run = run_config(cfg, number)
        data = run.train_dataloader.dataset
        assert data.forgotten == gone
        built = DATASETS.build(dict(data, subset_file=None))
        assert type(built) is PaintedDataset
        assert built.painter.fill == 'mean' and built.painter.margin == 1
        labels = {settings.classes.index(name) for name in gone}
        assert run.model.forgotten == sorted(labels)
        # What the teacher finds is painted in the same way.
        assert run.model.painting == settings.painting
        hits = 0
        for idx in range(0, len(built), 3):
            info = built.get_data_info(idx)
            sample = built[idx]['data_samples']
            expected = len(info['painted'])
            hits += expected
            assert len(sample.get('painted_boxes', ())) == expected
        assert hits


@pytest.mark.parametrize('number', [0, 1])
@pytest.mark.parametrize('name, of_request', [
    ('ddetr_shapes_counterfactual', False),
    ('vit_shapes_counterfactual', True),
    ('vit_shapes_counterfactual_deep', True),
])
def test_whose_weights_the_teacher_has(name, of_request, number):
    cfg = read_config(str(CONFIGS / f'{name}.py'))
    settings = ForgetSettings.from_config(cfg)
    settings.base_fingerprint = 'of the base'
    request = settings.requests[number]
    run = training_config(cfg, settings, request,
                          Path('none') / request.name, 'found.pth',
                          'of the found')
    (hook, ) = [h for h in run.custom_hooks if 'TeacherHook' in h.type]
    assert hook.base == ('found.pth' if of_request else cfg.load_from)
    assert hook.base_fingerprint == ('of the found'
                                     if of_request else 'of the base')
    # What starts from the teacher's weights is compared with it.
    assert hook.first == (of_request or number == 0)


def test_other_methods_paint_nothing():
    cfg = read_config(str(CONFIGS / 'ddetr_shapes_forget.py'))
    _, run = run_config(cfg, 0)
    assert run.train_dataloader.dataset.type.endswith('ForgetRetainDataset')
    assert 'painting' not in run.train_dataloader.dataset


def scalars(folder):
    """Values that training logged, by iteration."""
    (log, ) = folder.glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    return [row for row in rows if 'grad_norm' in row]


@pytest.mark.parametrize('options', ['', ', retain=0., teacher_cache=0'])
def test_a_whole_run(tmp_path, options):
    path, work_dir = write(tmp_path, options), tmp_path / 'run'
    summary = tiny_run.run_sequence(path, work_dir)
    assert len(summary['requests']) == 2
    before = torch.load(
        tiny_run.base_checkpoint(), weights_only=True)['state_dict']
    for number in (1, 2):
        folder = work_dir / f'request_{number:02d}'
        after = torch.load(
            folder / 'merged.pth', weights_only=True)['state_dict']
        changed = {k for k in after if not torch.equal(after[k], before[k])}
        assert changed and all('ffn' in k for k in changed)
        assert read_json(folder / 'metrics.json')['request'] == number
        for row in scalars(folder):
            assert row['loss_memory'] > 0 and 'forget/scores' in row
            assert ('retain/scores' in row) == (not options)
            assert ('teacher/hits' in row) == (not options)
        before = after


@pytest.mark.parametrize('module, options, message', [
    (tiny_run, {
        'forget.painting.fill': 'none'
    }, "forget.painting.fill is 'none'; it must be one of telea, blur"),
    (tiny_run, {
        'forget.painting.fills': 'mean'
    }, 'forget.painting.fills is unknown; did you mean'),
    (tiny_run, {
        'forget.painting.margin': -1
    }, 'forget.painting.margin is -1'),
    (tiny_run, {
        'forget.painting': 3
    }, 'forget.painting is 3; it must be a section'),
    (tiny_run, {
        'forget.data.variants': 0
    }, 'forget.data.variants is 0; it must be a whole number >= 1'),
    (tiny_run, {
        'forget.method': dict(type='GSLoRA', _delete_=True)
    }, 'forget.painting has no effect: the method GSLoRA'),
    (tiny_classifier, {
        'forget.method': dict(type='CounterfactualTeacher', _delete_=True)
    }, 'the images of a classifier have none'),
    (tiny_classifier, {
        'forget.painting': dict(fill='mean')
    }, 'forget.painting has no effect: the images of a classifier have no'),
])
def test_what_is_wrong_is_said_at_once(tmp_path, module, options, message):
    if module is tiny_run:
        path = write(tmp_path)
    else:
        path = module.write_config(tmp_path / 'tiny.py')
    with pytest.raises(ForgetError, match=message) as caught:
        ForgetSettings.from_config(read_config(str(path), options))
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('path', SHIPPED, ids=lambda p: p.stem)
def test_shipped_configs(path):
    cfg = read_config(str(path))
    settings, run = run_config(cfg, 1)
    METHODS.build(dict(run.model.method, _scope_='gslora_mm'))
    assert run.train_dataloader.dataset.forgotten == GONE[path.stem.split('_')
                                                          [1]]
    assert settings.painting['fill'] == 'blend'


def test_shipped_configs_are_there():
    assert [path.stem.removeprefix('ddetr_') for path in SHIPPED] == [
        'bccd_counterfactual', 'bccd_counterfactual_deep',
        'shapes_counterfactual', 'shapes_counterfactual_4shot',
        'shapes_counterfactual_deep', 'shapes_counterfactual_missing',
        'shapes_counterfactual_no-retain'
    ]
