"""The config of a study: its cells, and what is refused."""
import itertools
import re
from pathlib import Path

import pytest
from mmengine.registry import DefaultScope

from gslora_mm.engine import ForgetSettings, read_config
from gslora_mm.engine.request_config import training_config
from gslora_mm.engine.study import plan_runs, read_study
from gslora_mm.registry import MODELS
from gslora_mm.utils import ForgetError

REPO = Path(__file__).resolve().parents[2]
SHIPPED = sorted((REPO / 'configs/studies').glob('*.py'))
BASE = REPO / 'configs/gslora/vit_shapes_forget.py'
RANKS = dict(option='forget.lora.rank', values=[4, 8])


def write(path, axes=None, base=BASE, text='', **study):
    """Write a study; returns its path."""
    study['axes'] = dict(rank=RANKS) if axes is None else axes
    path.write_text(f'base = {str(base)!r}\nstudy = {study!r}\n{text}')
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'study.py'


AXES = dict(
    group=dict(option='forget.group', values=['block', 'lora', 'matrix']),
    place={
        'low': {
            'forget.lora.include': ['layers.0'],
            'forget.lora.rank': 2
        },
        'all': {},
    },
    alpha=dict(
        option=['forget.method.alpha', 'forget.lora.alpha'], values=[1, .5]))


def test_cells_are_the_product(path):
    """Against a product that is written out here."""
    grid = read_study(write(path, AXES))
    place = {
        'low': {
            'forget.lora.include': ['layers.0'],
            'forget.lora.rank': 2
        },
        'all': {}
    }
    expected = [(f'group={g},place={p},alpha={a}', {
        'forget.group': g,
        **place[p], 'forget.method.alpha': a,
        'forget.lora.alpha': a
    }) for g, p, a in itertools.product(['block', 'lora', 'matrix'], place,
                                        [1, .5])]
    assert [(c.name, c.options) for c in grid.cells()] == expected


def test_runs_get_their_options(path, tmp_path):
    grid = read_study(
        write(path, AXES, options={'forget.data.ratio': .5}), seeds=[4, 2])
    runs = plan_runs(grid, tmp_path / 'out')
    assert len(runs) == 24
    assert len({run.folder for run in runs}) == 24
    assert not (tmp_path / 'out').exists()
    for run in runs:
        cfg, values = run.config, run.cell.values
        assert cfg.forget.group == values['group']
        assert cfg.forget.data.ratio == .5
        assert cfg.forget.lora.rank == (2 if values['place'] == 'low' else 8)
        assert cfg.forget.lora.alpha == float(values['alpha'])
        assert cfg.randomness.seed == run.seed
        assert run.folder == (
            tmp_path / 'out/cells' / run.cell.name / f'seed_{run.seed}')
    assert [run.seed for run in runs[:2]] == [4, 2]


def test_config_written_for_a_run_is_the_one_planned(path, tmp_path):
    run = plan_runs(read_study(write(path, AXES)), tmp_path / 'out')[0]
    run.claim()
    read = read_config(str(run.folder / 'config.py')).to_dict()
    assert read == run.config.to_dict()


def test_command_line_beats_the_config(path):
    grid = read_study(
        write(path, options={'forget.data.ratio': .5}),
        {'forget.data.ratio': .1})
    assert grid.options == {'forget.data.ratio': .1}
    with pytest.raises(ForgetError, match='what axis \'rank\' .* varies'):
        read_study(path, {'forget.lora.rank': 2})


ERRORS = {
    'a base that is not there':
    (dict(base='no/such.py'), r'base of .*study.py is no/such.py, and there '
     'is no such file'),
    'no axes': (dict(axes={}), 'study.py varies nothing; give study.axes'),
    'an axis without values':
    (dict(axes=dict(rank={})), "axis 'rank' of the study has no values"),
    'an empty list': (dict(axes=dict(rank=dict(RANKS, values=[]))),
                      "axis 'rank' of the study has no values"),
    'values without an option':
    (dict(axes=dict(rank=dict(values=[1]))), 'lists values but no option'),
    'a value twice':
    (dict(axes=dict(rank=dict(RANKS, values=[4, 4]))), 'lists a value twice'),
    'a value without options': (dict(axes=dict(rank=dict(four=4))),
                                "four of axis 'rank' .* is 4; it "
                                'must be a dict of options'),
    'a bad name': (dict(axes={'rank': {
        'a/b': {}
    }}), "'a/b' cannot be part of the name"),
    'a misspelt key': (dict(seed=[1]),
                       "seed is unknown; did you mean 'seeds'"),
    'bad seeds': (dict(seeds=[.5]), 'seeds of the study are'),
    'no seeds': (dict(seeds=[]), 'seeds of the study are'),
    'two axes for one option': (dict(axes=dict(rank=RANKS, again=RANKS)),
                                "axes 'rank' and 'again' of "
                                'the study both set forget.lora.rank'),
    'an unknown section': (dict(options={'modle.head.type': 1}),
                           "option modle.head.type: .* has "
                           "no 'modle'; did you mean 'model'"),
    'an unknown part': (dict(options={'model.backbone.arhc.num_layers': 1}),
                        "no 'model.backbone.arhc'; did you mean 'arch'"),
    'no such place in a list': (dict(options={'param_scheduler.3.end': 1}),
                                "no 'param_scheduler.3'"),
    'an unknown forget option': (dict(options={'forget.lora.rnk': 1}),
                                 'cell rank=4: forget.lora.rnk is unknown'),
    'an unknown method option': (dict(options={'forget.method.betta': 1}),
                                 'cell rank=4: forget.method '
                                 'cannot be built: .*betta'),
    'a bad value': (dict(axes=dict(rank=dict(RANKS, values=[4, -1]))),
                    'cell rank=-1: '
                    'forget.lora.rank is -1; it must be'),
    'a config that is no Python': (dict(text='axes = ('), 'cannot be read'),
    'a preparation that is not there':
    (dict(axes=dict(rank=dict(RANKS, prepare=dict(config='no.py')))),
     'prepare.config of .* is no.py'),
}


@pytest.mark.parametrize('what', ERRORS)
def test_refused_in_one_line(what, path, tmp_path):
    changes, message = ERRORS[what]
    with pytest.raises(ForgetError, match=message) as error:
        plan_runs(read_study(write(path, **changes)), tmp_path / 'out')
    assert '\n' not in str(error.value)
    assert not (tmp_path / 'out').exists()


def test_other_configs_are_no_study(tmp_path):
    with pytest.raises(ForgetError, match='has no study section'):
        read_study(BASE)
    with pytest.raises(ForgetError, match='cannot be read'):
        read_study(tmp_path / 'none.py')


# --- what is shipped ---------------------------------------------------------


def test_every_study_is_shipped():
    assert {p.stem
            for p in SHIPPED} == {
                'alpha', 'beta', 'data_ratio', 'depth', 'groups',
                'groups_detection', 'layers_detection', 'rank', 'shots',
                'sparsity'
            }


@pytest.mark.parametrize('path', SHIPPED, ids=lambda p: p.stem)
def test_shipped_study_expands(path, tmp_path):
    grid = read_study(path)
    runs = plan_runs(grid, tmp_path / 'out')
    count = len(grid.seeds)
    for axis in grid.axes:
        count *= len(axis.values)
    assert len(runs) == count >= 9
    contents = {str(run.settings()) for run in runs}
    assert len(contents) == count, 'two runs are the same'
    for run in runs:
        settings = ForgetSettings.from_config(run.config)
        assert len(settings.requests) == run.requests
        assert run.config.load_from.endswith('.pth')


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


def test_example_of_the_docs_expands(path, tmp_path):
    text = (REPO / 'docs/studies.md').read_text()
    (example, ) = re.findall(r'```python\n(.*?)```', text, re.DOTALL)
    path.write_text(example.replace("'../", f"'{REPO}/configs/"))
    runs = plan_runs(read_study(path), tmp_path / 'out')
    assert len(runs) == 12
    assert {run.config.train_cfg.max_epochs for run in runs} == {6}
    listed = re.findall(r'^\| `(\w+)\.py` \|', text, re.MULTILINE)
    assert sorted(listed) == [p.stem for p in SHIPPED]
