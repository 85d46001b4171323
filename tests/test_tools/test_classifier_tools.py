"""The tools on the tiny run of a classifier: same commands, same files."""
import json
import shutil

import cv2
import pytest
import torch
from kill_and_resume import differences
from tiny_classifier import (CLASSES, EPOCHS, REQUESTS, base_checkpoint,
                             finished_run, plain_model, tiny_config,
                             write_config)
from tiny_run import run_sequence
from tool_calls import call, error_of

from gslora_mm.methods import GSLoRA

NUMBERS = ('Acc_f', 'Acc_r', 'Acc_o', 'Acc_m', 'H', 'Acc_f_base', 'Acc_r_base',
           'retention', 'per_class')


@pytest.fixture(scope='module')
def base():
    """The base checkpoint of the tiny classifier."""
    return base_checkpoint()


@pytest.fixture(scope='module')
def config():
    """The config of its tiny run."""
    return tiny_config()


@pytest.fixture(scope='module')
def run():
    """Folder of its finished run; read only."""
    return finished_run()


def read(path):
    return json.loads(path.read_text())


def measured(tmp_path, *args):
    out = tmp_path / 'numbers.json'
    assert call('test', *args, '--out', out, '--work-dir',
                tmp_path / 'logs') is None
    return read(out)


def expected(run, index):
    return read(run / f'request_0{index}/metrics.json')


def assert_same(found, metrics):
    assert found['classes'] == metrics['classes']
    assert metrics['top1']['Acc_r'] > 0
    for name in NUMBERS:
        assert found['top1'][name] == metrics['top1'][name], name


class Killed(BaseException):
    """Not caught by anything, like a signal."""


@pytest.fixture
def half(config, run, tmp_path, monkeypatch):
    """A copy of the run, stopped before the last epoch of request 2."""
    copy, start = tmp_path / 'half', GSLoRA.start_epoch
    shutil.copytree(run, copy)
    shutil.rmtree(copy / 'request_02')

    def stop(self, epoch, *args):
        if epoch == EPOCHS - 1:
            raise Killed
        start(self, epoch, *args)

    with monkeypatch.context() as patch:
        patch.setattr(GSLoRA, 'start_epoch', stop)
        with pytest.raises(Killed):
            run_sequence(config, copy, resume=True)
    assert (copy / f'request_02/epoch_{EPOCHS - 1}.pth').is_file()
    return copy


def test_train_goes_on_and_prints_the_table(config, run, half, capsys):
    capsys.readouterr()
    assert call('train', config, '--work-dir', half, '--resume') is None
    assert read(half / 'request_02/training.json')['resumed']
    assert list(differences(run, half)) == []
    printed = capsys.readouterr().out
    assert 'request_02: forget jade' in printed
    assert 'request_01: forget' not in printed
    assert f'request 2/2  epoch {EPOCHS}/{EPOCHS}' in printed
    assert f'request 2/2  epoch {EPOCHS - 1}/{EPOCHS}' not in printed
    # The whole table, of both requests, but for the seconds.
    table = (run / 'summary.md').read_text().strip('`\n').splitlines()
    heads = [line.rsplit('  ', 1)[0].rstrip() for line in table]
    assert heads[0] == 'base model: accuracy 1.000 over all classes'
    assert all(head in printed for head in heads)
    for name in ('Acc_f', 'Acc_r before (base) -> after', 'Acc_o', 'Acc_m'):
        assert name in heads[1]
    assert f'everything is in {half}' in printed


@pytest.mark.parametrize('index', [1, 2])
def test_merged_checkpoint(config, run, tmp_path, index, capsys):
    found = measured(tmp_path, config, run / f'request_0{index}/merged.pth')
    assert_same(found, expected(run, index))
    printed = capsys.readouterr().out
    assert ', '.join(found['classes']) in printed
    assert f'-> {found["top1"]["Acc_f"]:.3f}' in printed
    assert 'Acc_f' in printed and 'AP' not in printed


def test_base_and_adapter(config, run, base, tmp_path):
    """The base lies outside the run, so it is measured as well."""
    found = measured(tmp_path, config, base, '--adapter',
                     run / 'request_01/adapter.safetensors')
    assert_same(found, expected(run, 1))


def test_base_alone_loses_nothing(config, run, base, tmp_path):
    found = measured(tmp_path, config, base, '--request', 1)['top1']
    metrics = expected(run, 1)['top1']
    assert found['Acc_f'] == metrics['Acc_f_base']
    assert found['Acc_r'] == metrics['Acc_r_base']
    assert found['H'] == 0 and found['retention'] == 1


def test_gallery_has_a_table_of_its_own(config, run, tmp_path, capsys):
    found = measured(tmp_path, config, run / 'request_01/merged.pth',
                     '--cfg-options', 'forget.gallery.far=0.1')
    assert_same(found, expected(run, 1))
    numbers, printed = found['gallery'], capsys.readouterr().out
    assert 'TAR at FAR 0.1' in printed and 'rank-1 f' in printed
    lines = printed.splitlines()
    new = next(x for x in lines if ' amber  new ' in x)
    old = next(x for x in lines if x.split()[:1] == ['old'])
    for line, kind in ((new, ''), (old, '_old_templates')):
        for key in ('rank1_f', 'tar_f', 'rank1_r', 'tar_r'):
            assert (f'{numbers[f"{key}{kind}_before"]:.3f} -> '
                    f'{numbers[f"{key}{kind}"]:.3f}') in line


def test_training_prints_the_gallery(config, tmp_path, capsys):
    out = tmp_path / 'run'
    assert call('train', config, '--work-dir', out, '--cfg-options',
                'forget.gallery.far=0.1', 'forget.requests=[[jade]]',
                'train_cfg.max_epochs=1') is None
    printed = capsys.readouterr().out
    numbers = read(out / 'request_01/gallery.json')
    line = next(x for x in printed.splitlines() if ' jade     new ' in x)
    for key in ('rank1_f', 'tar_f', 'rank1_r', 'tar_r'):
        assert (
            f'{numbers[f"{key}_before"]:.3f} -> {numbers[key]:.3f}') in line
    assert printed.index('Acc_r before') < printed.index(line)
    assert line in (out / 'summary.md').read_text()


def test_drawings(config, run, tmp_path):
    """Before and after side by side, red where a class is forgotten."""
    drawn = tmp_path / 'drawn'
    assert call('test', config, run / 'request_01/merged.pth', '--work-dir',
                tmp_path / 'logs', '--show-dir', drawn, '--show-num', 4,
                '--cfg-options', 'val_dataloader.batch_size=3') is None
    pictures = [cv2.imread(str(p)) for p in sorted(drawn.glob('*.png'))]
    # Folders have files of the same names: none replaces another.
    assert len(pictures) == 4
    for picture in pictures:
        height, width, _ = picture.shape
        assert width == 2 * (height - 22)
        # The base names the forgotten class it sees.
        assert (picture[:, :width // 2] == (40, 40, 230)).all(-1).any()


def test_analysis_of_the_groups(run, tmp_path, capsys):
    out = tmp_path / 'analysis'
    assert call('analyze_groups', run, '--out', out) is None
    printed = capsys.readouterr().out
    for index, classes in enumerate(REQUESTS, 1):
        groups = read(run / f'request_0{index}/groups.json')
        zero, total = groups['zero_groups'], len(groups['groups'])
        assert 0 < zero < total == 3
        assert f'request {index}: {", ".join(classes)}' in printed
        assert (f'request {index}: {zero} of {total} groups exactly zero, '
                f'their {2 * zero} weight matrices bit-identical') in printed
        left = groups['tensors'] - 2 * total
        assert f'request {index}: all {left} tensors without LoRA' in printed
    assert 'backbone.layers.2' in printed and 'FAILED' not in printed
    for name in ('groups.csv', 'groups.json', 'heatmap.png', 'norms.png'):
        assert (out / name).stat().st_size, name


def test_analysis_finds_a_changed_head(run, tmp_path):
    copy = tmp_path / 'run'
    shutil.copytree(run, copy)
    path = copy / 'request_01/merged.pth'
    content = torch.load(path, weights_only=True)
    content['state_dict']['head.fc.weight'][0] = 0
    torch.save(content, path)
    message = error_of('analyze_groups', copy, '--out', tmp_path / 'out')
    assert 'CHECKS FAILED' in message
    assert '1 tensor without LoRA changed: head.fc.weight' in message


def test_pretrain_writes_a_plain_base(tmp_path, capsys):
    """From scratch, with mixup, by mmpretrain's own metric."""
    config = write_config(tmp_path / 'scratch.py', unseen=[])
    out = tmp_path / 'base.pth'
    assert call('pretrain', config, '--work-dir', tmp_path / 'work', '--out',
                out, '--cfg-options', 'train_cfg.max_epochs=1',
                'load_from=None',
                'train_dataloader.dataset.data_prefix=val') is None
    assert f'weights: {out}' in capsys.readouterr().out
    content = torch.load(out, weights_only=True)
    assert content['meta']['dataset_meta']['classes'] == CLASSES
    plain_model(config).load_state_dict(content['state_dict'], strict=True)
