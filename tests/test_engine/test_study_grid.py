"""The config of a study: its cells, and what is refused."""
import itertools
from pathlib import Path

import pytest

from gslora_mm.engine import read_config
from gslora_mm.engine.study import plan, plan_runs, read_study
from gslora_mm.utils import ForgetError

REPO = Path(__file__).resolve().parents[2]
BASE = REPO / 'configs/gslora/vit_shapes_forget.py'
RANKS = dict(option='forget.lora.rank', values=[4, 8])
# Axes that choose the config, and the configs they choose.
TEMPLATE = REPO / 'configs/gslora/vit_shapes_forget{setting}{method}.py'
SETTING = dict(files=dict(full='', few='_4shot', missing='_missing'))
METHOD = dict(files={'GS-LoRA': '', 'GS-LoRA++': '_pp'})
PRACTICAL = dict(base=TEMPLATE, axes=dict(setting=SETTING, method=METHOD))
FILES = {
    ('full', 'GS-LoRA'): 'vit_shapes_forget',
    ('full', 'GS-LoRA++'): 'vit_shapes_forget_pp',
    ('few', 'GS-LoRA'): 'vit_shapes_forget_4shot',
    ('few', 'GS-LoRA++'): 'vit_shapes_forget_4shot_pp',
    ('missing', 'GS-LoRA'): 'vit_shapes_forget_missing',
    ('missing', 'GS-LoRA++'): 'vit_shapes_forget_missing_pp',
}


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


def test_files_choose_the_config(path, tmp_path, monkeypatch):
    """Every run is the config that is named here, with the other options."""
    read = []
    monkeypatch.setattr(plan, 'read_config',
                        lambda path: read.append(path) or read_config(path))
    axes = dict(
        rank=RANKS,
        **PRACTICAL['axes'],
        beta={
            'low': {
                'forget.method.beta': .1
            },
            'own': {}
        })
    grid = read_study(write(path, axes, TEMPLATE), seeds=[3])
    runs = plan_runs(grid, tmp_path / 'out')
    assert len(runs) == 24
    assert sorted(Path(p).stem for p in read) == sorted(FILES.values())
    for run in runs:
        values = run.cell.values
        name = FILES[values['setting'], values['method']]
        assert Path(run.cell.base) == REPO / f'configs/gslora/{name}.py'
        expected = read_config(run.cell.base)
        expected.forget.lora.rank = int(values['rank'])
        if values['beta'] == 'low':
            expected.forget.method.beta = .1
        expected.randomness.seed = 3
        assert run.config.to_dict() == expected.to_dict()
    assert runs[0].cell.name == 'rank=4,setting=full,method=GS-LoRA,beta=low'


def test_files_beside_a_preparation_in_any_folder(tmp_path):
    folder = tmp_path / '{strange}'
    folder.mkdir()
    axes = dict(
        depth=dict(
            option='model.backbone.arch.num_layers',
            values=[3],
            prepare=dict(config=str(REPO / 'configs/pretrain/vit_shapes.py'))),
        **{'a.b': dict(files={
            '1': 'one',
            '2': 'two'
        })})
    for name, method in (('one', 'GSLoRA'), ('two', 'GSLoRAPlusPlus')):
        (folder / f'{name}.py').write_text(
            f'_base_ = {str(BASE)!r}\nforget = dict(method=dict('
            f'type={method!r}))')
    study = write(folder / 'study.py', axes, 'x/../{a.b}.py')
    (folder / 'x').mkdir()
    runs = plan_runs(read_study(study, seeds=[0]), tmp_path / 'out')
    assert [run.config.forget.method.type
            for run in runs] == ['GSLoRA', 'GSLoRAPlusPlus']
    assert runs[0].needs is runs[1].needs is not None


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
    'a file that is not there': (
        dict(
            base=TEMPLATE,
            axes=dict(
                setting=SETTING,
                method=dict(
                    files={
                        'good': '_pp',
                        'bad': '_p'
                    }))), 'cell setting=full,method=bad: its base is '
        '.*/vit_shapes_forget_p.py, and there is no such file; correct '
        'base, or files of the axes'),
    'files beside prepare': (
        dict(
            base=TEMPLATE,
            axes=dict(
                setting=SETTING, method=dict(METHOD,
                                             prepare=dict(config='x')))),
        "axis 'method' of the study chooses files and has 'prepare', too; "),
    'files beside values': (
        dict(
            base=TEMPLATE,
            axes=dict(setting=SETTING, method=dict(METHOD, **RANKS))),
        "axis 'method' of the study chooses files and has 'option', too; "),
    'an axis that base does not have':
    (dict(axes=dict(method=METHOD)), "axis 'method' of the study chooses "
     r"files, and base of .*study.py is .*; put \{method\} into it"),
    'files without base': (dict(text='base = None', axes=dict(method=METHOD)),
                           'base of .* is missing; name a config file'),
    'braces without an axis':
    (dict(base=TEMPLATE, axes=dict(setting=SETTING, methods=METHOD)),
     r'base of .*study.py has \{method\}, and no axis with files is called '
     'so; name one of setting, methods, or'),
    'braces with an axis of another form':
    (dict(base=TEMPLATE, axes=dict(setting=SETTING, method=RANKS)),
     r'has \{method\}, and no axis with files is called so'),
    'braces without any axis with files':
    (dict(base=TEMPLATE), r'has \{setting\}, .* is called so; remove it, or'),
    'a list of files':
    (dict(base=TEMPLATE, axes=dict(setting=dict(files=['', '_4shot']))),
     r"axis 'setting' of the study chooses files by \['', '_4shot'\]; give "
     r'what each value puts in the place of \{setting\} in base'),
    'a file that is no text':
    (dict(base=TEMPLATE, axes=dict(setting=dict(files=dict(four=4)))),
     "axis 'setting' of the study chooses 4 for four; give the text for"),
    'no files': (dict(base=TEMPLATE, axes=dict(setting=dict(files={}))),
                 "axis 'setting' of the study has no values"),
    'a bad name of a file': (dict(
        base=TEMPLATE, axes=dict(setting=dict(files={'a/b': ''}))),
                             "'a/b' cannot be part of the name"),
    'an unknown section of a file':
    (dict(PRACTICAL, options={'modle.head.type': 1}),
     'cell setting=full,method=GS-LoRA: option modle.head.type: '
     ".*vit_shapes_forget.py has no 'modle'"),
    'an option for the first of the files only': (dict(
        base=TEMPLATE,
        axes=dict(
            method=dict(files={
                'with': '_pp',
                'without': ''
            }), setting=SETTING),
        options={
            'forget.method.prototype_forget': .5
        }), 'cell method=without,setting=full: forget.method cannot be built: '
                                                  '.*prototype_forget'),
    'configs of two tasks': (
        dict(
            base=REPO / 'configs/gslora/{model}_shapes_forget.py',
            axes=dict(model=dict(files=dict(a='vit', b='ddetr')))),
        'vit_shapes_forget.py and .*ddetr_shapes_forget.py are of different '
        'tasks, .*; make it two studies'),
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
