"""Folders are copied whole or not at all."""
import pytest

from gslora_mm.utils import ForgetError, copy_folder


def test_whole(tmp_path):
    source = tmp_path / 'source'
    (source / 'deep').mkdir(parents=True)
    for name in ('kept', 'left', 'deep/left'):
        (source / name).write_text(name)
    copy_folder(source, tmp_path / 'copy', leave=('left', ))
    found = {
        str(p.relative_to(tmp_path / 'copy')): p.read_text()
        for p in (tmp_path / 'copy').rglob('*') if p.is_file()
    }
    assert found == {'kept': 'kept', 'deep/left': 'deep/left'}


def test_not_at_all(tmp_path, monkeypatch):
    source = tmp_path / 'source'
    source.mkdir()
    (source / 'a').write_text('a')

    def full(*args, **kwargs):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('shutil.copystat', full)
    with pytest.raises(ForgetError, match='cannot copy .*source.*free'):
        copy_folder(source, tmp_path / 'copy')
    assert [p.name for p in tmp_path.iterdir()] == ['source']
