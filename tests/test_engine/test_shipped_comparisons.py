"""The comparisons of this repository: every method's config builds."""
from pathlib import Path

import pytest
from mmengine.config import Config
from shipped_data import image_folders

from gslora_mm.datasets import HeldOutCoco, HeldOutFolder
from gslora_mm.engine import ForgetSettings
from gslora_mm.engine.compare import Comparison, read_method
from gslora_mm.engine.config_file import read_config
from gslora_mm.engine.data_config import dataset_class
from gslora_mm.engine.recovery import Recovery
from gslora_mm.registry import METHODS

REPO = Path(__file__).resolve().parents[2]
FOLDER = REPO / 'configs/compare'
COMPARISONS = sorted(p for p in FOLDER.glob('*.py') if 'recover' not in p.stem)
# Of a method or two.
KINDS = ('demo', 'flat', 'sparse', 'deep', 'weights')
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


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Folders of images, whose names comparisons take; sets those of one."""
    return image_folders(tmp_path, monkeypatch)


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
    # The original, the reference, further ones, and those of the comparison.
    assert len(found.targets) == seeds * (2 + len(found.settings.models) +
                                          len(found.methods))
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
    assert _shots(found) == [10]
    for name, variant in found.settings.variants.items():
        short = usual.settings.variants[name]
        assert max(variant['steps']) >= 800 > max(short['steps'])
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


def _shots(found):
    return [
        v['shots'] for v in found.settings.variants.values()
        if v.get('train') == 'all'
    ]


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
