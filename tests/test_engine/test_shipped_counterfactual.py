"""Comparisons of the counterfactual teacher: what differs, and no more."""
import inspect
from pathlib import Path

import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS
from shipped_data import image_folders

from gslora_mm.engine.compare import Comparison
from gslora_mm.engine.compare.method_file import read_method
from gslora_mm.engine.config_file import read_config
from gslora_mm.engine.recovery import Recovery
from gslora_mm.registry import METHODS

REPO = Path(__file__).resolve().parents[2]
FOLDER = REPO / 'configs/compare'
DEMO = {'counterfactual_deep', 'counterfactual_deep_no-retain'}


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Sets the folder of images of a comparison."""
    return image_folders(tmp_path, monkeypatch)


@pytest.mark.parametrize('task, weights, share', [('ddetr', 9, 1 / 3),
                                                  ('vit', 5, 1.)])
def test_each_weight_is_halved_and_doubled(task, weights, share, tmp_path):
    config = FOLDER / f'flat_{task}_shapes.py'
    runs = Comparison(config, tmp_path / 'out').runs
    recipe = read_config(
        str(REPO / f'configs/gslora/{task}_shapes_counterfactual.py'))
    method = METHODS.get(recipe.forget.method.type)
    defaults = {
        **{
            k: v.default
            for k, v in inspect.signature(method).parameters.items()
        },
        **recipe.forget.method
    }
    changes = {}
    for run in runs:
        found = dict(run.config.forget.method)
        own = {k: v for k, v in found.items()
               if v != recipe.forget.method.get(k)}  # yapf: disable
        assert {**recipe.forget.method, **own} == found
        rates, wanted = _lr_curve(run.config), _lr_curve(recipe)
        assert len(rates) == pytest.approx(share * len(wanted), abs=1)
        assert max(rates) == max(wanted) and rates[-1] < 1e-2 * max(rates)
        changes[run.cell.values['setting']] = own
    assert changes.pop('defaults') == {}
    halves = {}
    for own in changes.values():
        ((name, value), ) = own.items()
        halves.setdefault(name, set()).add(value / defaults[name])
    assert len(halves) == weights and all(v == {.5, 2.}
                                          for v in halves.values())
    found = Recovery(FOLDER / f'recover_flat_{task}_shapes.py',
                     tmp_path / 'out')
    assert len(found.targets) == 2 * len(runs) == 2 * (1 + 2 * weights)


def test_weights_are_compared_on_the_images_for_choosing(tmp_path):
    runs = Comparison(FOLDER / 'weights_ddetr_shapes.py',
                      tmp_path / 'out').runs
    evaluation = read_config(
        str(REPO / 'configs/gslora/ddetr_shapes_counterfactual_deep.py'))
    methods = []
    for run in runs:
        found = run.config.val_dataloader.dataset
        assert found.recipe.seed != evaluation.val_dataloader.dataset.get(
            'recipe', dict(seed=0)).get('seed', 0)
        assert run.config.val_evaluator.ann_file.startswith(found.data_root)
        methods.append(METHODS.build(dict(run.config.forget.method)))
    weights = [(m.queries, m.mahalanobis, m.most) for m in methods]
    assert len(set(weights)) == len(weights) and (9., .5, None) in weights
    found = Recovery(FOLDER / 'recover_weights_ddetr_shapes.py',
                     tmp_path / 'out')
    assert len(found.targets) == 2 * len(runs)


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
                                        ('vit_shapes', ''),
                                        ('vit_shapes', '_deep'),
                                        ('vit_faces', ''),
                                        ('vit_faces', '_deep'),
                                        ('vit_cifar10', ''),
                                        ('vit_cifar10', '_deep')])
def test_counterfactual_is_that_of_its_config(data, kind, tmp_path, folders):
    config = FOLDER / f'{data}.py'
    folders(config)
    run = next(
        r for r in Comparison(config, tmp_path).runs
        if r.cell.values['method'] == f'counterfactual{kind}')
    recipe = read_config(
        str(REPO / f'configs/gslora/{data}_counterfactual{kind}.py'))
    for key in ('lora', 'method', 'train'):
        assert run.config.forget.get(key) == recipe.forget.get(key), key
    backbones = (c.model.backbone for c in (run.config, recipe))
    assert next(backbones) == next(backbones)
    given = {k: v for k, v in recipe.forget.method.items() if k != 'type'}
    # Weights are the defaults of the class, or the same for all classifiers
    # that forget deeply.
    if data.startswith('vit') and kind:
        own = {k: given.pop(k) for k in ('blocks', 'retain')}
        assert own == dict(blocks=6, retain=5)
    assert set(given) <= {'teacher_cache', 'half_cache', 'anew'}
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


def test_no_retain_data_of_classifiers():
    """Of which the deep recipe weighs what stays by itself."""
    for base in ('vit_shapes_forget', 'ddetr_shapes_forget'):
        method = read_method(
            FOLDER / 'methods/counterfactual_deep_no-retain.py',
            read_config(str(REPO / f'configs/gslora/{base}.py')))
        assert method.options['forget.method']['retain'] == 0


def test_a_reference_of_painted_images(tmp_path, monkeypatch):
    """It is the base model but for what is forgotten first."""
    monkeypatch.setenv('DATA_ROOT', str(tmp_path))
    plain, painted = (
        read_config(str(REPO / f'configs/pretrain/ddetr_bccd{kind}.py'))
        for kind in ('', '_painted'))
    found = painted.train_dataloader.dataset
    assert found.type == 'gslora_mm.PaintedOut'
    assert found.dataset == plain.train_dataloader.dataset
    single, *_ = Comparison(FOLDER / 'ddetr_bccd.py', tmp_path).runs
    assert [found.classes] == single.config.forget.requests
    painted.train_dataloader.dataset = plain.train_dataloader.dataset
    assert painted.to_dict() == plain.to_dict()
    # By the path that its config names.
    text = (REPO / 'configs/pretrain/ddetr_bccd_painted.py').read_text()
    settings = Recovery(FOLDER / 'recover_ddetr_bccd.py', tmp_path).settings
    (path, ) = settings.models.values()
    assert f'--work-dir {Path(path).parent}' in text
