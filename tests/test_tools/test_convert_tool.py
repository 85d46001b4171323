"""tools/convert_checkpoint.py from file to file, and its errors."""
import os
import sys
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.runner import load_checkpoint
from mmpretrain.registry import MODELS
from tool_calls import REPO, call, error_of, process
from torchvision.models import VisionTransformer

import gslora_mm.models.cosface_head  # noqa: F401
from gslora_mm.engine.checkpoints import load_plain_state

sys.path.insert(0,
                str(Path(__file__).resolve().parents[1] / 'test_converters'))

from face_reference import ReferenceFace  # noqa: E402
from face_reference import random_images, randomise  # noqa: E402

FACE = REPO / 'configs/_base_/facevit_p8s8.py'
CONFIG = """
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='VisionTransformer',
        arch=dict(embed_dims={width}, num_layers=2, num_heads={heads},
                  feedforward_channels=48),
        img_size=16, patch_size=8, qkv_bias={bias},
        norm_cfg=dict(type='LN', eps={eps})),
    head=dict(type='{head}', num_classes={classes}, in_channels={width}))
default_scope = '{scope}'
"""
VIT = dict(
    width=32,
    heads=2,
    bias=True,
    eps=1e-6,
    classes=5,
    head='VisionTransformerClsHead',
    scope='mmpretrain')
SMALL_FACE = dict(
    width=64,
    heads=1,
    bias=False,
    eps=1e-5,
    classes=5,
    head='gslora_mm.CosFaceClsHead',
    scope='mmpretrain')


def vit():
    return randomise(
        VisionTransformer(
            image_size=16,
            patch_size=8,
            num_layers=2,
            num_heads=2,
            hidden_dim=32,
            mlp_dim=48,
            num_classes=5))


def face():
    return randomise(
        ReferenceFace(
            image=16, width=64, depth=2, heads=1, hidden=48, classes=5))


@pytest.fixture
def source(tmp_path):
    """A torchvision checkpoint."""
    path = tmp_path / 'vit.pth'
    torch.save(vit().state_dict(), path)
    return path


@pytest.fixture
def out(tmp_path):
    """Where the result goes; the folder does not exist yet."""
    return tmp_path / 'new' / 'converted.pth'


def write_config(path, values, **changes):
    path.write_text(CONFIG.format(**dict(values, **changes)))
    return path


def load(config, path):
    """By mmengine, as a user would."""
    from mmengine.config import Config
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(Config.fromfile(config).model).eval()
    load_checkpoint(model, str(path), map_location='cpu', strict=True)
    return model


def rejected(out, *args):
    """The error of a call that must not leave anything behind."""
    before = out.read_bytes() if out.is_file() else None
    message = error_of('convert_checkpoint', *args)
    assert (out.read_bytes() if out.is_file() else None) == before
    if out.parent.is_dir():
        assert not list(out.parent.glob('.*'))
    return message


@torch.no_grad()
def test_torchvision(source, out, tmp_path, capsys):
    config = write_config(tmp_path / 'vit.py', VIT)
    assert call('convert_checkpoint', source, out, '--config', config) is None
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == 'format: torchvision-vit'
    assert printed[1].startswith('note: num_layers=2, embed_dims=32')
    assert printed[2:] == [f'fits: {config}', f'32 tensors: {out}']
    images = random_images(2, 16)
    torch.testing.assert_close(
        load(config, out)(images), vit()(images), rtol=0, atol=1e-4)
    state, meta = load_plain_state(out)
    assert len(state) == 32
    assert meta == dict(converted_from='torchvision-vit', head_rows=None)


@torch.no_grad()
def test_published_face_checkpoint(out, tmp_path, capsys):
    """Full size, as saved after forgetting: prefix, epoch, LoRA and all."""
    path, reference = tmp_path / 'face.pth', randomise(ReferenceFace())
    state = {f'module.{k}': v for k, v in reference.state_dict().items()}
    for name, shape in (('A', (8, 512)), ('B', (2048, 8))):
        key = f'module.transformer.layers.3.1.fn.fn.net.0.lora_{name}'
        state[key] = torch.ones(shape)
    torch.save(dict(state_dict=state, epoch=7), path)
    assert call('convert_checkpoint', path, out, '--config', FACE) is None
    printed = capsys.readouterr().out
    assert printed.startswith('format: face-transformer\n'
                              'note: 2 LoRA tensors dropped')
    assert printed.endswith(f'fits: {FACE}\n73 tensors: {out}\n')
    images = random_images(2, 112)
    torch.testing.assert_close(
        load(FACE, out)(images), reference(images), rtol=0, atol=1e-4)


@pytest.mark.parametrize('text', ['4,0', '4\n0\n', '[4, 0]'])
@pytest.mark.parametrize('as_file', [False, True])
def test_rows(source, out, tmp_path, text, as_file):
    rows = text
    if as_file:
        rows = tmp_path / 'rows.txt'
        rows.write_text(text)
    config = write_config(tmp_path / 'vit.py', VIT, classes=2)
    assert call('convert_checkpoint', source, out, '--rows', rows, '--config',
                config) is None
    state, meta = load_plain_state(out)
    assert torch.equal(state['head.layers.head.weight'],
                       vit().state_dict()['heads.head.weight'][[4, 0]])
    assert meta['head_rows'] == [4, 0]


def test_config_of_another_scope(source, out, tmp_path):
    """Forgetting configs may keep mmdet's default scope."""
    config = write_config(tmp_path / 'vit.py', VIT, scope='mmdet')
    assert call('convert_checkpoint', source, out, '--config', config) is None


def test_existing_result(source, out):
    assert call('convert_checkpoint', source, out) is None
    assert f'{out} exists; choose another name, or replace it with --force' \
        in rejected(out, source, out)
    out.write_bytes(b'old')
    assert call('convert_checkpoint', source, out, '--force') is None
    assert len(load_plain_state(out)[0]) == 32


def test_source_is_never_overwritten(source, tmp_path):
    link = tmp_path / 'link.pth'
    link.symlink_to(source)
    for name in (source, link):
        assert 'is the checkpoint to convert' in rejected(
            source, source, name, '--force')
    assert 'is a folder' in rejected(source, source, tmp_path, '--force')


def test_unreadable_sources(out, tmp_path):
    missing = tmp_path / 'none.pth'
    assert f'checkpoint {missing} does not exist' in rejected(
        out, missing, out)
    assert 'is an address' in rejected(out, 'https://x.org/vit.pth', out)
    for content in (b'', b'PK\x03\x04 not a zip', b'<html></html>'):
        path = tmp_path / 'damaged.pth'
        path.write_bytes(content)
        assert f'{path} is not a checkpoint that can be read safely' in (
            rejected(out, path, out))
    for content in ([1, 2], dict(epoch=3), torch.ones(2)):
        path = tmp_path / 'other.pth'
        torch.save(content, path)
        assert 'it holds no state dict of tensors' in rejected(out, path, out)


class Exploit:
    """Runs code where it is unpickled without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        """Called by pickle."""
        return os.mkdir, (str(self.path), )


def test_code_in_the_source_is_not_run(out, tmp_path):
    mark, path = tmp_path / 'harmed', tmp_path / 'bad.pth'
    torch.save(dict(vit().state_dict(), extra=Exploit(mark)), path)
    assert 'is not a checkpoint that can be read safely' in rejected(
        out, path, out)
    assert not mark.exists()


def test_what_is_not_recognised(source, out, tmp_path):
    state = vit().state_dict()
    state['extra.weight'] = state.pop('class_token')
    path = tmp_path / 'changed.pth'
    torch.save(state, path)
    message = rejected(out, path, out)
    assert message.startswith(f'{path}: ')
    assert '1 missing keys (class_token)' in message
    assert '1 unknown keys (extra.weight)' in message
    assert 'unknown keys (class_token, conv_proj.weight' in rejected(
        out, source, out, '--format', 'face-transformer')
    assert "unknown checkpoint format 'vit'" in rejected(
        out, source, out, '--format', 'vit')


def test_converted_already(source, out, tmp_path):
    assert call('convert_checkpoint', source, out) is None
    again = tmp_path / 'again.pth'
    message = rejected(again, out, again)
    assert message.startswith(f'{out}: ')
    assert 'in mmpretrain format already' in message
    assert 'load_from' in message


@pytest.mark.parametrize('rows, words', [
    ('0,x', "rows cannot be read from --rows: 'x' is no row number"),
    ('none.txt', "'none.txt' is no row number"),
    ('', 'there are none'),
    ('1,5', 'head row 5 does not exist; the head has rows 0 to 4'),
    ('1,1', 'head row 1 is selected twice'),
])
def test_bad_rows(source, out, rows, words):
    assert words in rejected(out, source, out, '--rows', rows)


def test_config_does_not_fit(source, out, tmp_path):
    config = tmp_path / 'other.py'

    def with_config(values, given, **changes):
        write_config(config, values, **changes)
        return rejected(out, given, out, '--config', config)

    assert ('head.layers.head.weight (5, 32) instead of (7, 32)'
            in with_config(VIT, source, classes=7))
    assert 'backbone.layers.0.ln1 has eps 1e-05' in with_config(
        VIT, source, eps=1e-5)
    assert '2 unknown keys (backbone.layers.0.attn.qkv.bias' in with_config(
        VIT, source, bias=False)
    path = tmp_path / 'face.pth'
    torch.save(face().state_dict(), path)
    message = with_config(SMALL_FACE, path, heads=4)
    assert 'backbone.layers.0.attn are 16 wide' in message
    assert 'set num_heads=1' in message
    assert 'cannot be built' in with_config(VIT, source, head='NoHead')
    config.write_text('a = 1')
    assert 'has no model' in rejected(out, source, out, '--config', config)
    config.unlink()
    assert 'cannot be read' in rejected(out, source, out, '--config', config)
    write_config(config, SMALL_FACE)
    assert call('convert_checkpoint', path, out, '--config', config) is None


def test_exit_status_and_nothing_but_the_line(tmp_path):
    result = process('convert_checkpoint', tmp_path / 'none.pth',
                     tmp_path / 'out.pth')
    assert result.returncode == 1
    assert result.stdout == ''
    assert result.stderr.startswith('error: checkpoint')
    assert len(result.stderr.splitlines()) == 1
