"""What joins the chain of a run after it: releases, and going back."""
import json
import shutil

import pytest
from test_manifests import read, sha
from tiny_classifier import run_sequence

from gslora_mm.provenance import (Chain, record_release, render_verification,
                                  verify_run)
from gslora_mm.release import drop_after
from gslora_mm.utils import ForgetError


def faults(run):
    return {(f['file'], f['fault']) for f in verify_run(run).faults}


def test_releases_join_the_chain(copy, tmp_path):
    head = Chain(copy).head
    inside, outside = copy / 'release.pth', tmp_path / 'outside.pth'
    for path in (inside, outside):
        shutil.copy(copy / 'request_02/merged.pth', path)
    first = record_release(copy, [inside], dict(request=2))
    second = record_release(copy, [outside])
    assert [first.name, second.name] == ['01.json', '02.json']
    manifest = read(copy, 'releases/01.json')
    assert manifest['occasion']['previous'] == head
    assert manifest['about'] == dict(request=2)
    assert list(manifest['files']) == ['release.pth']
    found = verify_run(copy)
    assert found.whole and [x['kind'] for x in found.links
                            ][3:] == ['release', 'release']
    outside.write_bytes(outside.read_bytes() + b'0')
    assert faults(copy) == {(str(outside), 'altered')}
    (copy / 'run.json').unlink()
    with pytest.raises(ForgetError, match='holds no run'):
        record_release(copy, [inside])


def test_requests_that_were_dropped_on_purpose(copy, config, base):
    """The chain says so; a file that just vanished is a fault as before."""
    chain, folder = read(copy, 'chain.json'), copy / 'request_02'
    drop_after(copy, 1, base=str(base))
    assert read(copy, 'reverts/01.json')['drops'] == [2]
    found = verify_run(copy)
    assert found.whole and found.links[2]['what'] == 'dropped by 3'
    assert found.links[3]['what'] == 'back to request 1'
    text = render_verification(found, copy)
    assert '2  request_02/manifest.json     dropped by 3\n' in text
    # Nothing went: nothing to write down.
    drop_after(copy, 1, base=str(base))
    assert not (copy / 'reverts/02.json').exists()
    run_sequence(config, copy, resume=True)
    found = verify_run(copy)
    assert found.whole and len(found.links) == 5
    assert read(copy, 'request_02/manifest.json')['replaces'] == [2]
    drop_after(copy, 0, base=str(base))
    assert read(copy, 'reverts/02.json')['drops'] == [1, 4]
    assert verify_run(copy).whole
    # What the chain holds to be gone is not read, and must not be there.
    (copy / 'request_01').mkdir()
    (copy / 'request_01/manifest.json').write_text('{}')
    assert faults(copy) == {('request_01/manifest.json', 'wrong')}
    shutil.rmtree(copy / 'request_01')
    (copy / 'chain.json').write_text(json.dumps(chain, indent=2) + '\n')
    folder.mkdir()
    assert ('request_02/manifest.json', 'missing') in faults(copy)


def test_revert_that_drops_what_it_did_not_go_behind(copy, base):
    """Its list is believed only where it fits the request it went to."""
    drop_after(copy, 1, base=str(base))
    path = copy / 'reverts/01.json'
    manifest = json.loads(path.read_text())
    manifest['drops'] = [1, 2]
    path.write_text(json.dumps(manifest, indent=2) + '\n')
    chain = read(copy, 'chain.json')
    chain['links'][3]['sha256'] = chain['head'] = sha(path)
    (copy / 'chain.json').write_text(json.dumps(chain, indent=2) + '\n')
    assert faults(copy) == {('chain.json', 'altered'),
                            ('request_01/manifest.json', 'wrong')}


def test_release_that_was_exported_again(copy):
    """The last manifest that names it is the one it must agree with."""
    path = copy / 'release.pth'
    for request in ('request_01', 'request_02'):
        shutil.copy(copy / request / 'merged.pth', path)
        record_release(copy, [path])
    found = verify_run(copy)
    assert found.whole and 'release.pth was released again' in found.notes[0]
    shutil.copy(copy / 'request_01/merged.pth', path)
    assert faults(copy) == {('release.pth', 'altered')}
