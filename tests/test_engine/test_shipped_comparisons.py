"""The comparisons of this repository: every method's config builds."""
import inspect
import math
import re
import shutil
from pathlib import Path

import pytest
import tiny_classifier
import tiny_run
import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS

from gslora_mm.datasets import HeldOutCoco, HeldOutFolder
from gslora_mm.engine import ForgetSettings
from gslora_mm.engine.compare import Comparison, read_method
from gslora_mm.engine.config_file import read_config
from gslora_mm.engine.data_config import dataset_class
from gslora_mm.engine.recovery import Recovery
from gslora_mm.models.stream_loss import StreamLoss
from gslora_mm.registry import METHODS

REPO = Path(__file__).resolve().parents[2]
FOLDER = REPO / 'configs/compare'
COMPARISONS = sorted(p for p in FOLDER.glob('*.py') if 'recover' not in p.stem)
# Of a method or two.
KINDS = ('demo', 'flat', 'sparse', 'deep')
SMALL = [p for p in COMPARISONS if p.stem.split('_')[0] in KINDS]
SHIPPED = [p for p in COMPARISONS if p not in SMALL]
RECOVERIES = sorted(
    p for p in FOLDER.glob('recover_*.py')
    if p.stem.split('_')[1] not in KINDS)
FILES = sorted((FOLDER / 'methods').glob('*.py'))
# Trivial baselines, which nobody tunes.
UNTUNED = {
    'output_filter', 'row_reset', 'counterfactual', 'counterfactual_deep',
    'counterfactual_deep_no-retain'
}
# Who runs what others have no time for.
DEMO = {'counterfactual_deep', 'counterfactual_deep_no-retain'}

PHOTOS = ('airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog',
          'horse', 'ship', 'truck')
PEOPLE = [f'yaleB{n:02d}' for n in sorted(set(range(1, 40)) - {14})]


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Folders of images, whose names comparisons take; sets those of one."""
    for data, names in (('people', PEOPLE), ('photos', PHOTOS)):
        for name in names:
            folder = tmp_path / data / 'train' / name
            folder.mkdir(parents=True)
            for i in range(5):
                (folder / f'{i}.png').touch()
        shutil.copytree(tmp_path / data / 'train', tmp_path / data / 'test')

    def use(config):
        data = 'photos' if 'cifar10' in config.stem else 'people'
        monkeypatch.setenv('DATA_ROOT', f'{tmp_path / data}/')

    return use


def test_five_data_sets():
    assert [p.stem for p in SHIPPED] == [
        'ddetr_bccd', 'ddetr_shapes', 'vit_cifar10', 'vit_faces', 'vit_shapes'
    ]


def test_listed_methods_have_files_and_types_are_known():
    names = set()
    for config in COMPARISONS:
        listed = names_in(config)
        assert len(set(listed)) == len(listed)
        names.update(listed)
    kinds = {path.stem: _kind(path) for path in FILES}
    assert names <= set(kinds)
    # What is written is compared.
    assert {
        name
        for name, kind in kinds.items()
        if kind is None or METHODS.get(kind) is not None
    } == names


def names_in(config):
    """Names of the methods that a comparison lists."""
    listed = Config.fromfile(config).comparison.methods
    return [Path(path).stem for path in listed]


def _kind(path):
    return (Config.fromfile(path).get('method') or {}).get('type')


@pytest.mark.parametrize('path', SHIPPED, ids=lambda p: p.stem)
def test_shipped_comparison_expands(path, tmp_path, folders):
    folders(path)
    found = Comparison(path, tmp_path / 'out')
    demo = DEMO if path.stem == 'ddetr_shapes' else set()
    names = {'single', 'continual'} | ({'demo'} if demo else set())
    assert set(found.settings.settings.values) == names
    budget = found.settings.budget
    for name, search in found.searches.items():
        assert bool(search.runs) == (name not in UNTUNED), name
        assert len(search.runs) <= budget
        size = 1
        for axis in search.method.search:
            size *= len(axis.values)
        assert len(search.runs) == (min(size, budget) if search.runs else 0)
        for run in search.runs[:1]:
            _check_trial(run, found)
    # Those that need no search are planned at once.
    untuned = UNTUNED & set(names_in(path))
    assert {r.cell.values['method'] for r in found.runs} == untuned
    assert len(found.runs) == (len(untuned) * 2 + len(demo)) * 3


def _check_trial(run, found):
    settings = ForgetSettings.from_config(run.config)
    assert len(settings.requests) == 1 and not settings.gallery
    assert found.settings.search_seed not in found.settings.seeds
    train = run.config.train_dataloader.dataset
    val = run.config.val_dataloader.dataset
    if dataset_class(train) is HeldOutFolder:
        assert (train.part, val.part) == ('train', 'held_out')
        assert train.data_root == val.data_root
        assert train.data_prefix == val.data_prefix == 'train'
    elif dataset_class(train) is HeldOutCoco:
        assert (train.part, val.part) == ('train', 'held_out')
        for key in ('data_root', 'ann_file', 'data_prefix'):
            assert train[key] == val[key]
    else:
        assert val.data_root != train.data_root and val.recipe.seed == 1


@pytest.mark.parametrize('path', FILES, ids=lambda p: p.stem)
def test_every_method_is_built(path, folders):
    kind = _kind(path)
    if kind and METHODS.get(kind) is None:
        pytest.skip(f'{kind} is not written yet')
    for config in SHIPPED:
        if path.stem not in names_in(config):
            continue
        folders(config)
        base = Config.fromfile(config).base
        base = read_config(str((FOLDER / base).resolve()))
        method = read_method(path, base, config.stem)
        for axis in method.search:
            for value in axis.values.values():
                cfg = Config(base.to_dict())
                cfg.merge_from_dict({**method.options, **value})
                built = ForgetSettings.from_config(cfg)
                METHODS.build(dict(built.method, _scope_='gslora_mm'))
        if not method.search:
            cfg = Config(base.to_dict())
            cfg.merge_from_dict(dict(method.options))
            METHODS.build(
                dict(
                    ForgetSettings.from_config(cfg).method,
                    _scope_='gslora_mm'))


@pytest.mark.parametrize('path', SMALL, ids=lambda p: p.stem)
def test_small_comparison_has_its_recovery(path, tmp_path):
    """Nothing is tuned there, so that all runs are planned at once."""
    planned = Comparison(path, tmp_path / 'out')
    settings, methods = planned.settings.settings.values, names_in(path)
    assert len(planned.runs) == len(settings) * len(methods) * len(
        planned.settings.seeds)
    found = Recovery(path.with_stem(f'recover_{path.stem}'), tmp_path / 'out')
    assert found.comparison.settings.name == planned.settings.name
    assert set(found.names) <= set(settings)
    assert set(found.methods) <= set(methods) and found.methods


@pytest.mark.parametrize('path', RECOVERIES, ids=lambda p: p.stem)
def test_shipped_recovery_names_what_there_is(path, tmp_path, folders):
    folders(path)
    kind, _, rest = path.stem.removeprefix('recover_').partition('_')
    kind, of = (kind, rest) if kind in ('lr', 'long') else ('',
                                                            f'{kind}_{rest}')
    assert of in {p.stem for p in SHIPPED}
    found = Recovery(path, tmp_path / 'out')
    assert found.names == ['single']
    seeds = len(found.settings.seeds)
    # The original, the reference, and those of the comparison.
    assert len(found.targets) == seeds * (2 + len(found.methods))
    assert len(found.jobs) == seeds
    if kind == 'long':
        _check_long(found, Recovery(FOLDER / f'recover_{of}.py', tmp_path))
    elif kind == 'lr':
        rates = [v['lr'] for v in found.settings.variants.values()]
        assert len(set(rates)) == len(rates) > 3
        # Nothing is chosen by what methods are judged by, or on its images.
        assert not found.methods
        assert found.work_dir.name != 'recover'
        root = found.targets[0][1].val_dataloader.dataset.data_root
        assert root.endswith('search/')
    else:
        assert _shots(found) == [1, 5, 10]
        assert {'full', 'prototype'} < set(found.settings.variants)
        assert found.settings.probes
    for job in found.jobs:
        assert job.config.train_dataloader.dataset.classes


def _check_long(found, usual):
    assert _shots(found) == [1, 5, 10]
    for name, variant in found.settings.variants.items():
        short = usual.settings.variants[name]
        assert max(variant['steps']) >= 200 > max(short['steps'])
        for key in ('train', 'share', 'lr'):
            assert variant[key] == short[key]
    # Of the same models, and both are kept.
    assert found.settings.folder != usual.settings.folder
    trained = [{
        job.result.name: job.config.to_dict()
        for job in r.jobs
    } for r in (found, usual)]
    assert trained[0] == trained[1]
    assert [
        job.result.relative_to(found.comparison.work_dir) for job in found.jobs
    ] == [
        job.result.relative_to(usual.comparison.work_dir) for job in usual.jobs
    ]


@pytest.mark.parametrize('task', ['ddetr', 'vit'])
def test_demo_of_what_comes_back(task, tmp_path):
    config = FOLDER / f'demo_{task}.py'
    compared = Comparison(config, tmp_path / 'out')
    # With the settings of the files, on the same images.
    ours, other = (run.config for run in compared.runs)
    recipe = read_config(str(FOLDER / Config.fromfile(config).base))
    assert ours.forget.method == recipe.forget.method
    assert ours.forget.requests == recipe.forget.requests[:1]
    assert ours.forget.data.ratio == other.forget.data.ratio == 1.
    assert other.forget.method.type.startswith('Counterfactual')
    found = Recovery(FOLDER / f'recover_demo_{task}.py', tmp_path / 'out')
    assert [t[0].title for t in found.targets
            ] == ['Original', 'GS-LoRA', 'Counterfactual']
    assert not found.jobs and found.settings.variants == dict(full={})
    # As in the whole recovery.
    whole = Recovery(FOLDER / f'recover_{task}_shapes.py', tmp_path / 'out')
    for key in ('steps', 'lr'):
        assert getattr(found.settings, key) == getattr(whole.settings, key)


@pytest.mark.parametrize('task, kind, weights', [('ddetr', '_deep', 6),
                                                 ('vit', '', 5)])
def test_each_weight_is_halved_and_doubled(task, kind, weights, tmp_path):
    config = FOLDER / f'flat_{task}_shapes.py'
    runs = Comparison(config, tmp_path / 'out').runs
    recipe = read_config(
        str(REPO / f'configs/gslora/{task}_shapes_counterfactual{kind}.py'))
    method = METHODS.get(recipe.forget.method.type)
    defaults = inspect.signature(method).parameters
    changes = {}
    for run in runs:
        found = dict(run.config.forget.method)
        own = {k: v for k, v in found.items()
               if k not in recipe.forget.method}  # yapf: disable
        assert {**recipe.forget.method, **own} == found
        assert run.config.train_cfg == recipe.train_cfg
        changes[run.cell.values['setting']] = own
    assert changes.pop('defaults') == {}
    halves = {}
    for own in changes.values():
        ((name, value), ) = own.items()
        halves.setdefault(name, set()).add(value / defaults[name].default)
    assert len(halves) == weights and all(v == {.5, 2.}
                                          for v in halves.values())
    found = Recovery(FOLDER / f'recover_flat_{task}_shapes.py',
                     tmp_path / 'out')
    assert len(found.targets) == 2 * len(runs) == 2 * (1 + 2 * weights)


def test_what_depth_costs(tmp_path):
    runs = Comparison(FOLDER / 'deep_ddetr_shapes.py', tmp_path / 'out').runs
    for run in runs:
        method, forget = run.config.forget.method, run.config.forget
        # The base's own method trains what the base says.
        assert forget.train == dict(exclude=['backbone.*'])
        assert forget.lora is None
        left = (1 - method.anew)**method.get('anew_epochs', 1)
        assert f'{left:.3g}' == run.cell.values['setting']
        assert len(_lr_curve(run.config)) > 1000
        assert _lr_curve(run.config)[-1] < 1e-5
    found = Recovery(FOLDER / 'recover_deep_ddetr_shapes.py', tmp_path / 'out')
    assert len(found.targets) == 3 * 3 * 3


@pytest.mark.parametrize('task', ['ddetr', 'vit'])
def test_fewer_and_fewer_blocks(task, tmp_path):
    runs = Comparison(FOLDER / f'sparse_{task}_shapes.py',
                      tmp_path / 'out').runs
    recipe = read_config(
        str(REPO / f'configs/gslora/{task}_shapes_counterfactual.py'))
    weights = []
    for run in runs:
        method = dict(run.config.forget.method)
        weights.append(method.pop('alpha'))
        assert method == recipe.forget.method
        assert f'{weights[-1]:g}' == run.cell.values['setting']
    assert weights[0] == 0 and weights == sorted(set(weights))
    found = Recovery(FOLDER / f'recover_sparse_{task}_shapes.py',
                     tmp_path / 'out')
    assert len(found.targets) == 2 * len(runs)


@pytest.mark.parametrize('data, kind', [('ddetr_shapes', ''),
                                        ('ddetr_shapes', '_deep'),
                                        ('ddetr_bccd', ''),
                                        ('ddetr_bccd', '_deep'),
                                        ('vit_shapes', ''), ('vit_faces', ''),
                                        ('vit_cifar10', '')])
def test_counterfactual_is_that_of_its_config(data, kind, tmp_path, folders):
    config = FOLDER / f'{data}.py'
    folders(config)
    run = next(
        r for r in Comparison(config, tmp_path).runs
        if r.cell.values['method'] == f'counterfactual{kind}')
    recipe = read_config(
        str(REPO / f'configs/gslora/{data}_counterfactual{kind}.py'))
    defaults = METHODS.get(recipe.forget.method.type)
    for key in ('lora', 'method', 'train'):
        assert run.config.forget.get(key) == recipe.forget.get(key), key
    backbones = (c.model.backbone for c in (run.config, recipe))
    assert next(backbones) == next(backbones)
    given = {k: v for k, v in recipe.forget.method.items() if k != 'type'}
    assert set(given) <= {'teacher_cache', 'half_cache', 'anew'} and defaults
    for key in ('epoch_batches', 'ratio', 'forget_per_batch'):
        assert run.config.forget.data[key] == recipe.forget.data[key], key
    for key in ('train_cfg', 'optim_wrapper'):
        assert run.config[key] == recipe[key], key
    assert _lr_curve(run.config) == _lr_curve(recipe)


def _lr_curve(cfg):
    """The learning rate of every iteration."""
    batches, epochs = cfg.forget.data.epoch_batches, cfg.train_cfg.max_epochs
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.)
    schedulers = []
    for given in cfg.param_scheduler:
        given = {
            k: v
            for k, v in given.items() if k != 'type'
        } | dict(type=PARAM_SCHEDULERS.get(given['type']))
        kind = given.pop('type')
        if given.pop('convert_to_iter_based', False):
            schedulers.append(
                kind.build_iter_from_epoch(
                    optimizer, epoch_length=batches, **given))
        else:
            schedulers.append(kind(optimizer, **given))
    found = []
    for _ in range(epochs * batches):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return found


def _shots(found):
    return [
        v['shots'] for v in found.settings.variants.values()
        if v.get('train') == 'all'
    ]


def _blocks():
    text = (REPO / 'docs/compare.md').read_text()
    return re.findall(r'```python\n(.*?)```', text, re.DOTALL)


def test_example_of_the_docs_is_short():
    method, config = _blocks()
    assert len((method + config).splitlines()) <= 60


@pytest.mark.parametrize('module', [tiny_classifier, tiny_run])
def test_example_of_the_docs_runs(module, tmp_path, monkeypatch):
    method, config = _blocks()
    (tmp_path / 'my_forgetting.py').write_text(method)
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / 'soft_ascent.py'
    path.write_text(config)
    base = module.write_config(tmp_path / 'base.py')
    found = read_method(path, read_config(str(base)))
    options = {**found.options, 'optim_wrapper.optimizer.lr': .002}
    detects = module is tiny_run
    assert options['forget.method'].get('scale') == (1. if detects else None)
    assert [a.name for a in found.search] == ['lr', 'weight']
    summary = tiny_run.run_sequence(base, tmp_path / 'run', **options)
    assert len(summary['requests']) == 2
    assert summary['requests'][0]['trained_ratio'] > .5
    log = (tmp_path / 'run/request_01/training.json').read_text()
    assert '"iterations": ' in log
    kind = METHODS.get('SoftAscent')
    one = StreamLoss([torch.tensor(2.)], dict(bbox=torch.tensor(4.)))
    terms = kind(weight=3., scale=2.).losses(one, None, None)
    assert terms['loss_forget'] == pytest.approx(3 * math.exp(-1))


def test_no_retain_data_is_all_that_differs(tmp_path):
    """And the demo of both has all its requests."""
    runs = {
        r.cell.values['method']: r.config
        for r in Comparison(FOLDER / 'ddetr_shapes.py', tmp_path).runs
        if r.cell.values['setting'] == 'demo' and r.seed == 0
    }
    assert set(runs) == DEMO
    deep, alone = (runs[name].to_dict() for name in sorted(DEMO))
    assert alone['forget']['method'].pop('retain') == 0
    assert alone == deep
    base = read_config(str(REPO / 'configs/gslora/ddetr_shapes_forget.py'))
    assert deep['forget']['requests'] == base.forget.requests


@pytest.mark.parametrize('data', ['faces', 'cifar10'])
def test_recoveries_ask_for_no_more_images_than_there_are(data):
    root = REPO.parent / 'shared/data' / data / 'train'
    if not root.is_dir():
        pytest.skip(f'needs the images of {data}, which are not part of the '
                    'repository')
    least = min(len(list(folder.iterdir())) for folder in root.iterdir())
    found = Config.fromfile(FOLDER / f'recover_vit_{data}.py').recovery
    asked = [
        v.get('shots', v.get('images', 0)) for v in found.variants.values()
    ]
    assert 0 < max(asked + [found.probes.images]) <= least
