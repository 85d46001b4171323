"""The comparisons of this repository: every method's config builds."""
import shutil
from pathlib import Path

import pytest
from mmengine.config import Config

from gslora_mm.datasets import HeldOutFolder
from gslora_mm.engine import ForgetSettings
from gslora_mm.engine.compare import Comparison, read_method
from gslora_mm.engine.config_file import read_config
from gslora_mm.engine.data_config import dataset_class
from gslora_mm.registry import METHODS

REPO = Path(__file__).resolve().parents[2]
FOLDER = REPO / 'configs/compare'
SHIPPED = sorted(FOLDER.glob('*_*.py'))
FILES = sorted((FOLDER / 'methods').glob('*.py'))
# Trivial baselines, which nobody tunes.
UNTUNED = {'output_filter', 'row_reset'}


@pytest.fixture(autouse=True)
def people(tmp_path, monkeypatch):
    """Folders of people, whose names the comparison of faces takes."""
    for number in set(range(1, 40)) - {14}:
        folder = tmp_path / f'people/train/yaleB{number:02d}'
        folder.mkdir(parents=True)
        for i in range(5):
            (folder / f'{i}.png').touch()
    shutil.copytree(tmp_path / 'people/train', tmp_path / 'people/test')
    monkeypatch.setenv('DATA_ROOT', f'{tmp_path}/people/')


def test_three_tasks():
    assert [p.stem
            for p in SHIPPED] == ['ddetr_shapes', 'vit_faces', 'vit_shapes']


def test_listed_methods_have_files_and_types_are_known():
    listed = Config.fromfile(REPO / 'configs/_base_/comparison.py').comparison
    names = [Path(path).stem for path in listed.methods]
    assert len(set(names)) == len(names)
    kinds = {path.stem: _kind(path) for path in FILES}
    assert set(names) <= set(kinds)
    # What is written is compared.
    assert {
        name
        for name, kind in kinds.items()
        if kind is None or METHODS.get(kind) is not None
    } == set(names)


def _kind(path):
    return (Config.fromfile(path).get('method') or {}).get('type')


@pytest.mark.parametrize('path', SHIPPED, ids=lambda p: p.stem)
def test_shipped_comparison_expands(path, tmp_path):
    found = Comparison(path, tmp_path / 'out')
    assert set(found.settings.settings.values) == {'single', 'continual'}
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
    assert {r.cell.values['method'] for r in found.runs} == UNTUNED
    assert len(found.runs) == 2 * 2 * 3


def _check_trial(run, found):
    settings = ForgetSettings.from_config(run.config)
    assert len(settings.requests) == 2 and not settings.gallery
    assert found.settings.search_seed not in found.settings.seeds
    train = run.config.train_dataloader.dataset
    val = run.config.val_dataloader.dataset
    if dataset_class(train) is HeldOutFolder:
        assert (train.part, val.part) == ('train', 'held_out')
        assert train.data_root == val.data_root
        assert train.data_prefix == val.data_prefix == 'train'
    else:
        assert val.data_root != train.data_root and val.recipe.seed == 1


@pytest.mark.parametrize('path', FILES, ids=lambda p: p.stem)
def test_every_method_is_built(path):
    kind = _kind(path)
    if kind and METHODS.get(kind) is None:
        pytest.skip(f'{kind} is not written yet')
    for config in SHIPPED:
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
