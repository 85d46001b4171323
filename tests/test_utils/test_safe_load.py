"""Checkpoints are read without running anything from them."""
import io
import subprocess
import sys
import zipfile
from pickle import UnpicklingError

import numpy as np
import pytest
import torch
from crafted_files import (attribute, build, call, checkpoint, exploits, name,
                           pickled, text, through_getattr)
from mmengine.logging import HistoryBuffer

from gslora_mm.engine.checkpoints import check_state, load_plain_state
from gslora_mm.utils import ForgetError
from gslora_mm.utils.safe_load import load_safely

_UNSAFE = '''
import sys, torch
torch.serialization.add_safe_globals([getattr])
try:
    torch.load(sys.argv[1], weights_only=True)
except Exception:
    pass
'''


@pytest.fixture
def canary(tmp_path):
    """Path that a crafted file would write to, and code that does it."""
    path = tmp_path / 'canary'
    return path, f'__import__("pathlib").Path({str(path)!r}).touch()'


def test_getattr_on_the_list_runs_any_code(canary, tmp_path):
    """Why a stand-in of ours is there instead of it."""
    path, code = canary
    crafted = checkpoint(through_getattr(code), tmp_path / 'crafted.pth')
    subprocess.run([sys.executable, '-c', _UNSAFE, crafted], check=True)
    assert path.exists()
    path.unlink()
    with pytest.raises(UnpicklingError, match='getattr of'):
        torch.load(crafted, weights_only=True)
    assert not path.exists()


def test_nothing_crafted_runs(canary, tmp_path):
    path, code = canary
    for title, body in exploits(code, f'touch {path}').items():
        crafted = checkpoint(body, tmp_path / 'crafted.pth')
        with pytest.raises(ForgetError, match='cannot|can be read') as err:
            load_plain_state(crafted)
        assert '\n' not in str(err.value), title
        # The old format: a pickle and nothing around it.
        crafted.write_bytes(b'\x80\x02' + body + b'.')
        with pytest.raises(ForgetError):
            load_plain_state(crafted)
        assert not path.exists(), title


@pytest.mark.parametrize('key', [
    '__globals__', '__builtins__', '__self__', '__class__', '__dict__',
    '__init__'
])
def test_attributes_stay_out_of_reach(tmp_path, key):
    for owner in (name('mmengine.logging.history_buffer', 'HistoryBuffer'),
                  name('torch._utils', '_rebuild_tensor_v2')):
        crafted = checkpoint(attribute(owner, key), tmp_path / 'crafted.pth')
        with pytest.raises(UnpicklingError, match='refused'):
            load_safely(crafted)


def dtype(kind, *state):
    made = call(name('numpy', 'dtype'), text(kind), b'\x89', b'\x88')
    return build(made, b'(' + b''.join(state) + b't') if state else made


def test_types_of_numpy_cannot_be_forged(tmp_path):
    """Real ones take flags that make bytes pointers, and sizes beyond."""
    three = b'K\x03'
    plain = (b'N', b'N', b'N', b'J\xff\xff\xff\xff', b'J\xff\xff\xff\xff',
             b'K\x00')
    for body in (dtype('O8'), dtype('V8'), dtype('f8,O'), dtype('M8[ns]'),
                 dtype('(2,)f8'), dtype('S9999999'),
                 dtype('f8', three, text('?'), *plain),
                 dtype('S8', three, text('|'), b'(' + dtype('f8') + b'K\x02tN',
                       *plain[2:])):
        with pytest.raises((UnpicklingError, AttributeError)):
            load_safely(checkpoint(body, tmp_path / 'crafted.pth'))
    # Size and flags of the state are not taken.
    huge = dtype('S8', three, text('|'), b'N', b'N', b'N',
                 b'J\xff\xff\xff\x7f', b'K\x01', b'K\x3f')
    assert load_safely(checkpoint(huge, tmp_path / 'a.pth')).dtype == 'S8'


def test_arrays_and_numbers_come_back():
    content = dict(
        a=np.arange(6.).reshape(2, 3),
        f=np.asfortranarray(np.arange(6).reshape(2, 3)),
        b=np.arange(3, dtype='>i4'),
        u=np.array(['ab', 'c']),
        s=np.float32(1.5),
        i=np.int64(-3))
    file = io.BytesIO()
    torch.save(content, file)
    file.seek(0)
    found = load_safely(file)
    for key, value in content.items():
        assert np.array_equal(found[key], value), key
        # numpy itself turns what it loads into the machine's byte order.
        assert found[key].dtype == value.dtype.newbyteorder('='), key
    # Written again, nobody needs this package to read them.
    assert b'gslora' not in pickled(found)


def test_history_of_mmengine_comes_back():
    history = HistoryBuffer([1., 2., 4.], [1, 1, 1])
    file = io.BytesIO()
    torch.save(dict(message_hub=dict(log_scalars=dict(loss=history))), file)
    file.seek(0)
    found = load_safely(file)['message_hub']['log_scalars']['loss']
    assert type(found) is HistoryBuffer
    assert found.data[0].tolist() == [1., 2., 4.]
    assert type(found.data[0]) is np.ndarray
    assert found.mean() == history.mean() and found.current() == 4.
    found.update(8.)
    assert found.max() == 8.


def test_history_cannot_bring_statistics(tmp_path):
    """mmengine would enter them for every history of the process."""
    before = dict(HistoryBuffer._statistics_methods)
    made = (
        name('mmengine.logging.history_buffer', 'HistoryBuffer') + b')' +
        b'\x81')
    array = call(
        name('numpy._core.multiarray', '_reconstruct'),
        name('numpy', 'ndarray'), b'(K\x00t', text('b'))
    state = (b'}(' + text('statistics_methods') + b'}(' + text('mean') +
             name('torch', 'Size') + b'u' + text('_log_history') + array +
             text('_count_history') + array + text('max_length') + b'K\x09u')
    load_safely(checkpoint(build(made, state), tmp_path / 'crafted.pth'))
    assert HistoryBuffer._statistics_methods in (before, {
        **before,
        **{
            k: getattr(HistoryBuffer, k)
            for k in ('min', 'max', 'current', 'mean')
        }
    })


def refused(tmp_path, state):
    path = tmp_path / 'odd.pth'
    torch.save(dict(state_dict=state), path)
    with pytest.raises(ForgetError) as err:
        load_plain_state(path)
    assert str(path) in str(err.value) and '\n' not in str(err.value)
    return str(err.value)


def test_tensors_that_cannot_be_used(tmp_path):
    weight = torch.ones(3, 3)
    quantised = torch.quantize_per_tensor(weight, .1, 0, torch.qint8)
    for odd in (weight.to_sparse(), quantised, weight.to('meta')):
        assert "no plain tensor" in refused(tmp_path, dict(w=odd, b=weight))
    assert 'no plain tensor' in refused(tmp_path, {3: weight})
    assert 'twice' in refused(tmp_path, {'module.w': weight, 'w': weight})


def test_tensor_far_larger_than_its_file(tmp_path):
    bomb = torch.zeros(1).expand(1 << 20, 1 << 20)
    assert 'far larger tensors (w)' in refused(tmp_path, dict(w=bomb))
    # A mask that is stored once and used in every row is no bomb.
    path = tmp_path / 'mask.pth'
    torch.save(dict(w=torch.zeros(1).expand(64, 64)), path)
    assert load_plain_state(path)[0]['w'].shape == (64, 64)


def test_compressed_bomb(tmp_path):
    path = tmp_path / 'bomb.pth'
    torch.save(dict(state_dict=dict(w=torch.zeros(1 << 20))), path)
    small = tmp_path / 'small.pth'
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(
            small, 'w', zipfile.ZIP_DEFLATED) as new:
        for item in old.namelist():
            new.writestr(item, old.read(item))
    with pytest.raises(ForgetError, match='would unpack to'):
        load_plain_state(small)


def test_values_that_are_not_finite():
    model = torch.nn.Linear(2, 2)
    model.register_buffer('mask', torch.full((2, ), -torch.inf))
    state = {k: v.clone() for k, v in model.state_dict().items()}
    check_state(model, state, 'good.pth')
    for key, value in (('weight', torch.inf), ('weight', torch.nan),
                       ('mask', torch.nan)):
        broken = dict(state, **{key: torch.full_like(state[key], value)})
        with pytest.raises(ForgetError, match=f'not finite \\({key}\\)'):
            check_state(model, broken, 'bad.pth')
    with pytest.raises(ForgetError, match='wrong types'):
        check_state(model, dict(state, weight=torch.ones(2, 2).int()), 'x')


def test_message_of_a_damaged_file_is_one_line(tmp_path):
    body = call(name('os', 'x' * 5000), text('\x1b[2J\n'))
    with pytest.raises(ForgetError) as err:
        load_plain_state(checkpoint(body, tmp_path / 'crafted.pth'))
    assert str(err.value).isprintable() and len(str(err.value)) < 500
