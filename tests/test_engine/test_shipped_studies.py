"""The studies of this repository and of its docs."""
import re
import shutil
from pathlib import Path

import pytest
from mmengine.registry import DefaultScope

from gslora_mm.engine import ForgetSettings
from gslora_mm.engine.request_config import training_config
from gslora_mm.engine.study import plan_runs, read_study
from gslora_mm.registry import MODELS

REPO = Path(__file__).resolve().parents[2]
SHIPPED = sorted((REPO / 'configs/studies').glob('*.py'))


def test_every_study_is_shipped():
    assert {p.stem
            for p in SHIPPED} == {
                'alpha', 'beta', 'data_ratio', 'depth', 'groups',
                'groups_detection', 'layers_detection', 'rank', 'shots',
                'practical_ddetr_shapes', 'practical_vit_faces',
                'practical_vit_faces_delete', 'practical_vit_shapes_delete',
                'practical_vit_shapes', 'slack', 'sparsity'
            }


@pytest.fixture
def people(tmp_path, monkeypatch):
    """Folders of people, whose names the study of faces takes from there."""
    for number in set(range(1, 40)) - {14}:
        folder = tmp_path / f'people/train/yaleB{number:02d}'
        folder.mkdir(parents=True)
        (folder / '0.png').touch()
    shutil.copytree(tmp_path / 'people/train', tmp_path / 'people/test')
    monkeypatch.setenv('DATA_ROOT', f'{tmp_path}/people/')


@pytest.mark.usefixtures('people')
@pytest.mark.parametrize('path', SHIPPED, ids=lambda p: p.stem)
def test_shipped_study_expands(path, tmp_path):
    grid = read_study(path)
    runs = plan_runs(grid, tmp_path / 'out')
    count = len(grid.seeds)
    for axis in grid.axes:
        count *= len(axis.values)
    assert len(runs) == count >= 6
    contents = {str(run.settings()) for run in runs}
    assert len(contents) == count, 'two runs are the same'
    for run in runs:
        settings = ForgetSettings.from_config(run.config)
        assert len(settings.requests) == run.requests
        assert run.config.load_from.endswith('.pth')


@pytest.mark.usefixtures('people')
@pytest.mark.parametrize('name, requests, missing', [('vit_shapes', 4, 2),
                                                     ('ddetr_shapes', 4, 2),
                                                     ('vit_faces', 3, 5)])
def test_practical_study_has_the_settings_it_names(name, requests, missing,
                                                   tmp_path):
    runs = _first_runs(f'practical_{name}', tmp_path)
    assert len(runs) == 6
    for (setting, method), run in runs.items():
        settings = ForgetSettings.from_config(run.config)
        assert len(settings.requests) == requests
        assert settings.method['type'] == {
            'GS-LoRA': 'GSLoRA',
            'GS-LoRA++': 'GSLoRAPlusPlus'
        }[method]
        assert settings.data.get('shots') == (4
                                              if setting == '4shot' else None)
        assert len(settings.unseen) == (missing if setting == 'missing' else 0)


def test_depths_share_no_base_model(tmp_path):
    study = REPO / 'configs/studies/depth.py'
    runs = plan_runs(read_study(study), tmp_path / 'out')
    for run in runs:
        layers = run.config.model.backbone.arch.num_layers
        prepared = run.needs.config
        assert run.config.load_from == str(run.needs.result)
        assert prepared.model == run.config.model
        assert prepared.model.backbone.arch.num_layers == layers
        assert prepared.train_cfg.max_epochs == prepared.param_scheduler[1].end
    assert len({run.config.load_from for run in runs}) == 3


def _groups(run, tmp_path):
    """Names of the groups of the model that a run trains."""
    settings = ForgetSettings.from_config(run.config)
    cfg = training_config(run.config, settings, settings.requests[0],
                          tmp_path / 'request_01', '', '')
    with DefaultScope.overwrite_default_scope(run.config.default_scope):
        return MODELS.build(cfg.model).groups.names


def _first_runs(name, tmp_path):
    """The runs of a shipped study with one seed, by their cells' values."""
    grid = read_study(REPO / f'configs/studies/{name}.py', seeds=[0])
    return {
        tuple(run.cell.values.values()): run
        for run in plan_runs(grid, tmp_path / 'out')
    }


def test_group_study_has_the_groups_it_names(tmp_path):
    """Six blocks, each of two FFN linears and of qkv and proj."""
    linears = dict(ffn=2, attention=2, both=4)
    matrices = dict(block=None, lora=1, matrix=2)
    for (group, position), run in _first_runs('groups', tmp_path).items():
        each = linears[position] * matrices[group] if matrices[group] else 1
        assert len(_groups(run, tmp_path)) == 6 * each


def test_layer_study_has_the_layers_it_names(tmp_path):
    runs = _first_runs('layers_detection', tmp_path)
    found = {name: _groups(run, tmp_path) for (name, ), run in runs.items()}
    for part in ('encoder', 'decoder'):
        assert found[part] == [f'{part}.layers.{i}' for i in range(3)]
    assert found['both'] == found['encoder'] + found['decoder']


def test_example_of_the_docs_expands(tmp_path):
    path = tmp_path / 'study.py'
    text = (REPO / 'docs/studies.md').read_text()
    (example, ) = re.findall(r'```python\n(.*?)```', text, re.DOTALL)
    path.write_text(example.replace("'../", f"'{REPO}/configs/"))
    runs = plan_runs(read_study(path), tmp_path / 'out')
    assert len(runs) == 12
    assert {run.config.train_cfg.max_epochs for run in runs} == {6}
    listed = re.findall(r'^\| `(\w+)\.py` \|', text, re.MULTILINE)
    assert sorted(listed) == [p.stem for p in SHIPPED]
