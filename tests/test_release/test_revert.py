"""Going back is exact, and the run goes on from there."""
import json

import pytest
import torch
from kill_and_resume import differences
from test_export import equal, state_of
from tiny_classifier import base_checkpoint, tiny_config
from tiny_run import run_sequence

from gslora_mm.release import drop_after, later_folders, revert_to
from gslora_mm.utils import ForgetError


def test_every_state(classification, tmp_path):
    for index, expected in ((0, base_checkpoint()),
                            (1, classification / 'request_01/merged.pth'),
                            (2, classification / 'request_02/merged.pth')):
        path, _ = revert_to(classification, index, tmp_path / f'{index}.pth')
        assert equal(state_of(path), state_of(expected))
        found, kept = (
            torch.load(p, weights_only=True)['meta'] for p in (path, expected))
        if index:
            assert found == kept


def test_made_again_from_base_and_adapters(copied, classification, tmp_path):
    for path in copied.glob('request_*/merged.pth'):
        path.unlink()
    path, how = revert_to(copied, 2, tmp_path / 'second.pth')
    kept = classification / 'request_02/merged.pth'
    assert how == 'base and adapters'
    assert equal(state_of(path), state_of(kept))
    assert torch.load(
        path, weights_only=True)['meta'] == torch.load(
            kept, weights_only=True)['meta']
    # Without a place of its own it goes where it belongs.
    assert revert_to(copied, 1)[0] == copied / 'request_01/merged.pth'
    assert equal(
        state_of(copied / 'request_01/merged.pth'),
        state_of(classification / 'request_01/merged.pth'))


def test_dropped_and_resumed(copied, classification):
    (copied / 'analysis').mkdir()
    (copied / 'request_01/merged.pth').unlink()
    assert drop_after(copied, 1) == [copied / 'request_02']
    assert not (copied / 'request_02').exists()
    assert not (copied / 'analysis').exists()
    summary = json.loads((copied / 'summary.json').read_text())
    assert [row['request'] for row in summary['requests']] == [1]
    run_sequence(tiny_config(), copied, True)
    assert list(differences(classification, copied)) == []
    assert drop_after(copied,
                      0) == [copied / 'request_02', copied / 'request_01']
    assert not (copied / 'summary.json').exists()
    assert (copied / 'base/report.json').is_file()


def test_an_unfinished_request_is_dropped_too(copied):
    (copied / 'request_02/training.json').unlink()
    assert later_folders(copied, 1) == [copied / 'request_02']
    drop_after(copied, 1)
    assert not (copied / 'request_02').exists()


def test_a_stopped_removal_is_finished_by_the_next(copied):
    (copied / 'request_02').rename(copied / '.dropped-request_02')
    drop_after(copied, 1)
    assert not (copied / '.dropped-request_02').exists()


def test_nothing_is_dropped_that_could_not_go_on(copied):
    (copied / 'request_01/merged.pth').unlink()
    (copied / 'request_01/adapter.safetensors').unlink()
    with pytest.raises(ForgetError, match='adapter.safetensors does not'):
        drop_after(copied, 1)
    assert (copied / 'request_02/merged.pth').is_file()


@pytest.mark.parametrize('index', [-1, 3])
def test_no_such_request(classification, tmp_path, index):
    with pytest.raises(ForgetError, match=f'no finished request {index}'):
        revert_to(classification, index, tmp_path / 'out.pth')


def test_a_merged_checkpoint_that_was_changed(copied, tmp_path):
    path = copied / 'request_01/merged.pth'
    content = torch.load(path, weights_only=True)
    next(iter(content['state_dict'].values())).add_(1)
    torch.save(content, path)
    with pytest.raises(ForgetError, match='not the checkpoint that this run'):
        revert_to(copied, 1, tmp_path / 'out.pth')
