"""Whole runs of methods that train the model itself, or do not train."""
import json
import shutil

import baselines
import numpy as np
import pytest
import tiny_run
import torch
from kill_and_resume import differences
from tiny_classifier import (CLASSES, REQUESTS, base_checkpoint, finished_run,
                             logits_of, plain_model, read_images, tiny_config)

from gslora_mm.analysis import render_summary, report_groups
from gslora_mm.engine import ForgettingSequence, read_config, request_run
from gslora_mm.lora import load_adapter
from gslora_mm.utils import ForgetError

# Nothing in them knows detectors from classifiers, or they are for the latter.
OF_ONE_TASK = {
    'full', 'fine_tune', 'output_filter', 'counterfactual',
    'counterfactual_anew'
}
FILES = ('merged.pth', 'groups.json', 'training.json', 'metrics.json')


class Killed(BaseException):
    """Not caught by anything, like a signal."""


def read(path):
    return json.loads(path.read_text())


def state_of(path):
    return torch.load(path, weights_only=True)['state_dict']


def run_again(config, folder, **options):
    return tiny_run.run_sequence(config, folder, True, **options)


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """Folders and configs of finished runs, by method; made when asked."""
    folder, made = tmp_path_factory.mktemp('baselines'), {}

    def get(name):
        if name not in made:
            made[name] = baselines.run(name, folder)
        config, summary = made[name]
        return folder / name, config, summary

    return get


@pytest.mark.parametrize('name', baselines.METHODS)
def test_run_without_lora(runs, name, capsys):
    work_dir, _, summary = runs(name)
    edits = name in baselines.EDITS
    before = state_of(base_checkpoint())
    for row in summary['requests']:
        folder = work_dir / f'request_{row["request"]:02d}'
        assert all((folder / file).is_file() for file in FILES)
        assert not (folder / 'adapter.safetensors').exists()
        assert (row['zero_groups'], row['adapter_bytes']) == ('-', None)
        whole = sum(v.numel() for v in before.values())
        own = 0 if edits else sum(v.numel() for k, v in before.items()
                                  if baselines.PARTS.get(name, '') in k)
        assert row['trained_parameters'] == own
        assert row['trained_ratio'] == own / whole
        after = state_of(folder / 'merged.pth')
        changed = {k for k in after if not torch.equal(after[k], before[k])}
        assert changed <= set(read(folder / 'groups.json')['trained_tensors'])
        assert changed
        before = after
    assert ' - ' in render_summary(summary)
    report_groups(work_dir)
    assert 'zero-group ratio -, adapter -' in capsys.readouterr().out


def killed_after_an_epoch(config, folder, monkeypatch):
    """Stop a run that has its second request left, after an epoch of it."""
    whole = request_run.RequestRunner.call_hook

    def call_hook(runner, name, **kwargs):
        if name == 'before_train_epoch':
            if runner.epoch == 1:
                raise Killed
        return whole(runner, name, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(request_run.RequestRunner, 'call_hook', call_hook)
        with pytest.raises(Killed):
            run_again(config, folder)


@pytest.mark.parametrize('name', [
    'lwf', 'ewc', 'retrain', 'mas', 'scrub', 'lirf', 'salun', 'counterfactual',
    'counterfactual_anew'
])
def test_resumed_in_a_request(runs, name, tmp_path, monkeypatch):
    reference, config, _ = runs(name)
    copy = tmp_path / name
    shutil.copytree(reference, copy)
    shutil.rmtree(copy / 'request_02')
    killed_after_an_epoch(config, copy, monkeypatch)
    assert (copy / 'request_02/epoch_1.pth').is_file()
    run_again(config, copy)
    assert read(copy / 'request_02/training.json')['resumed']
    assert list(differences(reference, copy)) == []
    for kept in reference.glob('request_*/*.safetensors'):
        # All that a method stores.
        found = load_adapter(copy / kept.relative_to(reference))[0]
        expected = load_adapter(kept)[0]
        assert set(found) == set(expected)
        assert all(torch.equal(found[k], expected[k]) for k in found)


def test_what_ewc_keeps_between_requests(runs):
    work_dir, _, summary = runs('ewc')
    stored = [load_adapter(work_dir / f'request_{i:02d}/prepared.safetensors')
              for i in (1, 2)]  # yapf: disable
    starts = [
        state_of(base_checkpoint()),
        state_of(work_dir / 'request_01/merged.pth')
    ]
    for (tensors, _), start in zip(stored, starts):
        assert {k.partition('.')[2] for k in tensors} == set(start)
    first, second = (tensors for tensors, _ in stored)
    for key in starts[0]:
        assert torch.equal(first[f'centre.{key}'], starts[0][key])
        assert (second[f'importance.{key}']
                >= first[f'importance.{key}']).all()
    size = sum(v.numel() * v.element_size() for v in second.values())
    path = work_dir / 'request_02/prepared.safetensors'
    row = summary['requests'][1]
    assert size < row['stored_bytes'] == path.stat().st_size < 1.2 * size


def stored(folder, name):
    return load_adapter(folder / f'{name}.safetensors')[0]


def changed(before, after):
    return {k: before[k] != after[k] for k in before}


def test_salun_keeps_the_bits_outside_its_masks(runs):
    work_dir, _, summary = runs('salun')
    before = state_of(base_checkpoint())
    for row in summary['requests']:
        folder = work_dir / f'request_{row["request"]:02d}'
        kept = stored(folder, 'prepared')
        masks = {k.removeprefix('mask.'): v for k, v in kept.items()}
        after = state_of(folder / 'merged.pth')
        moved = changed(before, after)
        size = sum(v.numel() for v in masks.values())
        assert not any((moved[k] & ~masks[k]).any() for k in moved)
        inside = sum(int(v.sum()) for v in masks.values())
        assert inside == round(size / 2)
        assert sum(int(v.sum()) for v in moved.values()) > .9 * inside
        # One byte each.
        assert size < row['stored_bytes'] < 1.2 * size + 8192
        before = after


def test_deposit_is_no_part_of_the_result(runs):
    work_dir, _, summary = runs('lirf')
    base, deposits = state_of(base_checkpoint()), []
    for row in summary['requests']:
        folder = work_dir / f'request_{row["request"]:02d}'
        assert set(state_of(folder / 'merged.pth')) == set(base)
        deposit = stored(folder, 'kept')
        # The first of three blocks; it has learned.
        first = 'backbone.layers.0.'
        lower = {
            f'deposit.0.{k.removeprefix(first)}': v
            for k, v in base.items() if k.startswith(first)
        }
        assert set(deposit) == set(lower)
        assert all(v.any() for v in changed(lower, deposit).values())
        size = sum(v.numel() * v.element_size() for v in deposit.values())
        assert size < row['stored_bytes'] < size + 8192
        trained = read(folder / 'groups.json')['trained_tensors']
        assert set(trained) == set(base)
        deposits.append(deposit)
    assert any(v.any() for v in changed(*deposits).values())


def test_nothing_of_the_base_stays_in_a_retrained_model(runs):
    work_dir, _, _ = runs('retrain')
    states = [state_of(base_checkpoint())]
    for index in (1, 2):
        folder = work_dir / f'request_{index:02d}'
        states.append(state_of(folder / 'merged.pth'))
    for before, after in zip(states, states[1:]):
        for key, value in after.items():
            # Tokens and biases begin as zeros.
            if value.ndim < 2 or not before[key].any():
                continue
            both = torch.stack([before[key].flatten(), value.flatten()])
            assert abs(torch.corrcoef(both)[0, 1]) < .5, key


def norm_statistics(state):
    return {k: v for k, v in state.items() if 'running' in k}


def test_norms_of_a_retrained_detector(tmp_path, monkeypatch):
    """They gather statistics, and a resumed run has the same."""
    config, _ = baselines.run(
        'retrain',
        tmp_path,
        tiny_run,
        requests=tiny_run.REQUESTS[:1],
        norm_eval=False)
    found = norm_statistics(
        state_of(tmp_path / 'retrain/request_01/merged.pth'))
    base = norm_statistics(state_of(tiny_run.base_checkpoint()))
    assert base and all(v.all() for v in changed(base, found).values())
    copy = tmp_path / 'copy'
    shutil.copytree(tmp_path / 'retrain', copy)
    shutil.rmtree(copy / 'request_01')
    killed_after_an_epoch(config, copy, monkeypatch)
    run_again(config, copy)
    assert read(copy / 'request_01/training.json')['resumed']
    assert list(differences(tmp_path / 'retrain', copy)) == []


def test_an_ascent_that_explodes_names_its_own_cure(tmp_path):
    config = baselines.config_of('ascent', tmp_path / 'ascent.py')
    with pytest.raises(
            ForgetError,
            match=r'loss_forget is .*lower the '
            r'learning rate.*forget\.method\.forget') as caught:
        tiny_run.run_sequence(
            config, tmp_path / 'run', **{
                'forget.method.forget': 50.,
                'forget.max_loss': 100.
            })
    assert 'beta' not in str(caught.value)


def test_prepared_file_that_is_gone(runs, tmp_path, monkeypatch):
    reference, config, _ = runs('ewc')
    copy = tmp_path / 'ewc'
    shutil.copytree(reference, copy)
    shutil.rmtree(copy / 'request_02')
    killed_after_an_epoch(config, copy, monkeypatch)
    (copy / 'request_02/prepared.safetensors').unlink()
    with pytest.raises(ForgetError, match='prepared.safetensors is gone'):
        run_again(config, copy)


def test_fine_tuning_loads_no_image_to_forget(runs):
    work_dir, _, _ = runs('fine_tune')
    log = next((work_dir / 'request_01').glob('*/vis_data/*.json'))
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines and all('retain/cls' in line and 'forget/cls' not in line
                         for line in lines)  # yapf: disable


@pytest.mark.parametrize('head', ['linear', 'cosface'])
@pytest.mark.parametrize('name', baselines.EDITS)
def test_edits_are_of_the_rows_alone(name, head, tmp_path):
    config = baselines.config_of(name, tmp_path / 'edit.py', head=head)
    tiny_run.run_sequence(config, tmp_path / 'run')
    images, names, _ = read_images()
    before, gone = state_of(base_checkpoint(head)), []
    model = plain_model(config)
    model.load_state_dict(before)
    expected = logits_of(model, images)
    for index, request in enumerate(REQUESTS, 1):
        gone += [CLASSES.index(c) for c in request]
        kept = [i for i in range(len(CLASSES)) if i not in gone]
        after = state_of(tmp_path / f'run/request_{index:02d}/merged.pth')
        for key, value in after.items():
            rows = kept if key.startswith('head.') else slice(None)
            assert torch.equal(value[rows], before[key][rows])
        model.load_state_dict(after)
        found = logits_of(model, images)
        assert torch.equal(found[:, kept], expected[:, kept])
        if name == 'row_reset':
            continue
        if head == 'linear':
            assert (found.softmax(1)[:, gone] == 0).all()
            hidden = slice(None)
        else:
            assert (found[:, gone] == 0).all()
            hidden = (found[:, kept] > 0).any(1).numpy()
        seen = np.array([CLASSES.index(name) for name in names])
        assert np.isin(seen, kept)[hidden].any()
        assert np.isin(found.argmax(1).numpy(), kept)[hidden].all()


BAD = [({'forget.train': 'all'}, r'forget\.lora is about LoRA.*None'),
       ({'forget.train': 'all', 'forget.lora': None,
         'forget.ema': dict(start=1)}, r'forget\.ema is about LoRA'),
       ({'forget.train': 'all', 'forget.lora': None,
         'forget.group': 'lora'}, r'forget\.group is about LoRA'),
       ({'forget.train': 'all', 'forget.lora': None}, 'alpha=0'),
       ({'forget.train': 'all', 'forget.lora': None,
         'forget.method.alpha': [0., 1.]}, 'alpha=0'),
       ({'forget.train': 'some'}, r'forget\.train is'),
       ({'forget.lora': None, 'forget.train': 'head',
         'forget.method': dict(_delete_=True, type='RowReset')},
        'train has no effect'),
       ({'forget.method': dict(_delete_=True, type='EWC')},
        'EWC.*LoRA begins anew')]  # yapf: disable


@pytest.mark.parametrize('options, message', BAD)
def test_bad_settings(tmp_path, options, message):
    cfg = read_config(str(tiny_config()), options)
    with pytest.raises(ForgetError, match=message) as caught:
        ForgettingSequence(cfg, tmp_path / 'run')
    assert '\n' not in str(caught.value)


def test_a_teacher_of_other_weights_is_refused(runs, tmp_path, monkeypatch):
    _, config, _ = runs('lwf')
    from gslora_mm.models import teacher
    keep = teacher.TeacherMixin.keep_teacher

    def spoilt(model):
        keep(model)
        forward = model.teacher.extract_feat
        model.teacher.extract_feat = lambda x: [1.1 * f for f in forward(x)]

    monkeypatch.setattr(teacher.TeacherMixin, 'keep_teacher', spoilt)
    with pytest.raises(ForgetError, match='teacher is not the original'):
        tiny_run.run_sequence(config, tmp_path / 'run')
    assert not list(tmp_path.glob('run/request_*/epoch_*'))


def test_base_that_changes_is_no_teacher(runs, tmp_path):
    from mmengine.config import Config

    from gslora_mm.engine.runner import RequestRunner
    work_dir, _, _ = runs('lwf')
    cfg = Config.fromfile(work_dir / 'request_02/config.py')
    for hook in cfg.custom_hooks:
        if hook.type == 'gslora_mm.TeacherHook':
            hook.base = str(work_dir / 'request_01/merged.pth')
    cfg.work_dir = str(tmp_path)
    with pytest.raises(ForgetError, match='not the checkpoint that the run'):
        RequestRunner.from_cfg(cfg).train()


def test_lora_is_what_it_was(runs):
    """A run with LoRA counts its parameters as well."""
    row = read(finished_run() / 'summary.json')['requests'][0]
    groups = read(finished_run() / 'request_01/groups.json')
    assert groups['train'] == 'lora' and row['stored_bytes'] == 0
    assert row['trained_parameters'] == sum(g['parameters']
                                            for g in groups['groups'])
    whole = sum(v.numel() for v in state_of(base_checkpoint()).values())
    assert row['trained_ratio'] == row['trained_parameters'] / whole


@pytest.mark.parametrize('name', sorted(set(baselines.METHODS) - OF_ONE_TASK))
def test_detectors(name, tmp_path):
    # An epoch of either stream; what is left to others is as it was.
    _, summary = baselines.run(
        name,
        tmp_path,
        tiny_run,
        epoch_batches=1,
        epochs=2 if name == 'scrub' else 1)
    base = state_of(tiny_run.base_checkpoint())
    after = state_of(tmp_path / name / 'request_01/merged.pth')
    changed = [k for k in base if not torch.equal(after[k], base[k])]
    row = summary['requests'][-1]
    assert len(summary['requests']) == 2 and row['zero_groups'] == '-'
    stores = ('ewc', 'l2', 'mas', 'salun', 'lirf')
    assert (row['stored_bytes'] > 0) == (name in stores)
    rows = [k for k in changed if 'cls_branches' in k]
    of_the_head = (*baselines.EDITS, *baselines.PARTS)
    assert rows and (set(rows) == set(changed)) == (name in of_the_head)
    assert set(after) == set(base)
