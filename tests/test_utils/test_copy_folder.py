"""Folders are copied whole or not at all."""
import os
import re

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
    for name in ('a', 'b'):
        (source / name).write_text(name)

    def full(*args, **kwargs):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('shutil.copy2', full)
    with pytest.raises(ForgetError) as found:
        copy_folder(source, tmp_path / 'copy')
    assert re.fullmatch(
        r'cannot copy \S+/source/[ab]: No space left on device; nothing '
        'finished is lost: free some space.*', str(found.value))
    assert [p.name for p in tmp_path.iterdir()] == ['source']


def test_what_is_missing_needs_no_space(tmp_path):
    source = tmp_path / 'source'
    source.mkdir()
    (source / 'dangling').symlink_to('nowhere')
    with pytest.raises(ForgetError, match='dangling: No such file.*check'):
        copy_folder(source, tmp_path / 'copy')


def test_leftovers_of_a_killed_process_go(tmp_path):
    source = tmp_path / 'source'
    source.mkdir()
    (source / 'a').write_text('a')
    for process in (1, os.getpid()):
        (tmp_path / f'.{process}-copy').mkdir()
        (tmp_path / f'.{process}-copy/half').write_text('')
    (tmp_path / '.1-other').mkdir()
    copy_folder(source, tmp_path / 'copy')
    assert sorted(
        p.name for p in tmp_path.iterdir()) == ['.1-other', 'copy', 'source']
    assert [p.name for p in (tmp_path / 'copy').iterdir()] == ['a']
