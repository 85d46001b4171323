"""What is in the manifests of a run, and that a repetition has the same."""
import csv
import hashlib
import json
import shutil

import torch
from tiny_classifier import CLASSES, run_sequence

from gslora_mm.engine.checkpoints import save_plain
from gslora_mm.provenance import verify_run

FILES = ('manifest.json', 'request_01/manifest.json',
         'request_02/manifest.json')


def read(folder, file):
    return json.loads((folder / file).read_text())


def sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_chain(run):
    chain = read(run, 'chain.json')
    assert [link['file'] for link in chain['links']] == list(FILES)
    previous = None
    for place, link in enumerate(chain['links']):
        manifest = read(run, link['file'])
        assert manifest['place'] == place
        assert manifest['occasion']['previous'] == previous
        assert link['sha256'] == sha(run / link['file'])
        previous = link['sha256']
    assert chain['head'] == previous


def test_start(run, base, config):
    manifest = read(run, 'manifest.json')
    assert manifest['base']['sha256'] == sha(base)
    record = read(run, 'run.json')
    assert manifest['base']['fingerprint'] == record['base_fingerprint']
    assert manifest['config_digest'] == record['config_digest']
    assert set(manifest['files']) == {
        'run.json', 'base/report.json', 'base/images.csv'
    }
    assert manifest['environment']['torch'] == torch.__version__.split('+')[0]
    assert manifest['seeds'] == dict(run=0, data=None)
    assert manifest['trained_before'] == []
    state = torch.load(base, weights_only=True)['state_dict']
    assert set(manifest['base']['tensors']) == set(state)


def test_request(run):
    manifest = read(run, FILES[2])
    assert manifest['classes'] == ['jade'] and manifest['request'] == 2
    listed = {**manifest['files'], **manifest['occasion']['files']}
    assert set(listed) == {
        'adapter.safetensors', 'adapter.json', 'merged.pth', 'groups.json',
        'training.json', 'metrics.json', 'report.json', 'subset.json',
        'images.csv'
    }
    for name, about in listed.items():
        path = run / 'request_02' / name
        assert about['sha256'] == sha(path), name
        assert about['bytes'] == path.stat().st_size, name
    occasion = manifest['occasion']
    assert occasion['start'] <= occasion['end'] and occasion['resumed'] == 0


def test_images_are_those_of_the_subset(run):
    subset = read(run, 'request_02/subset.json')
    with open(run / 'request_02/images.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    names = {*subset['forget']['file_names'], *subset['retain']['file_names']}
    assert len(rows) == len(names)
    for row in rows:
        assert any(row['path'].endswith(name) for name in names)
        content = open(row['path'], 'rb').read()
        assert row['sha256'] == hashlib.sha256(content).hexdigest()
        assert int(row['bytes']) == len(content)
    with open(run / 'base/images.csv', newline='') as file:
        assert len(list(csv.DictReader(file))) == 4 * len(CLASSES)


def test_repetition_differs_in_the_occasion_alone(run, config, tmp_path):
    again = tmp_path / 'again'
    run_sequence(config, again)
    for file in FILES:
        first, second = read(run, file), read(again, file)
        assert first.pop('occasion') and second.pop('occasion')
        assert first == second, file


def test_checkpoint_does_not_know_its_name(tmp_path):
    """torch writes the name of the file into it, if it is told one."""
    for name in ('one.pth', 'another.pth'):
        save_plain(tmp_path / name, dict(w=torch.ones(3)), dict(a=1))
    assert sha(tmp_path / 'one.pth') == sha(tmp_path / 'another.pth')


def test_resume_writes_the_manifest_that_a_kill_prevented(copy, config, run):
    """Once before the manifest, once between it and the chain."""
    chain = read(copy, 'chain.json')
    chain['links'].pop()
    chain['head'] = chain['links'][-1]['sha256']
    (copy / 'chain.json').write_text(json.dumps(chain, indent=2) + '\n')
    for there in (False, True):
        if not there:
            (copy / FILES[2]).unlink()
        run_sequence(config, copy, resume=True)
        manifest = read(copy, FILES[2])
        assert manifest['occasion']['resumed'] == 1 + there
        assert manifest['trained_before'] is False
        assert manifest['files'] == read(run, FILES[2])['files']
        assert 'replaces' not in manifest
        assert verify_run(copy).whole
        (copy / 'chain.json').write_text(json.dumps(chain, indent=2) + '\n')


def test_run_of_an_older_version_begins_its_chain(copy, config):
    for file in (*FILES, 'chain.json', 'times.json'):
        (copy / file).unlink()
    for folder in ('base', 'request_01', 'request_02'):
        (copy / folder / 'images.csv').unlink()
    run_sequence(config, copy, resume=True)
    start = read(copy, 'manifest.json')
    assert start['trained_before'] == ['request_01', 'request_02']
    assert read(copy, FILES[1])['trained_before'] is True
    assert read(copy, FILES[1])['occasion']['start'] is None
    found = verify_run(copy)
    assert found.whole and found.links[1]['trained_before']


def test_request_that_is_trained_anew(copy, config):
    """Its manifest takes the place of the one that is gone, and says so."""
    old = read(copy, 'chain.json')['links'][2]['sha256']
    shutil.rmtree(copy / 'request_02')
    run_sequence(config, copy, resume=True)
    chain = read(copy, 'chain.json')
    assert [link['file'] for link in chain['links']] == [*FILES, FILES[2]]
    assert chain['links'][2]['sha256'] == old
    assert read(copy, FILES[2])['replaces'] == [2]
    found = verify_run(copy)
    assert found.whole and found.links[2]['what'] == 'replaced by 3'
    # The link that nothing stands behind any more is covered all the same.
    for change in (lambda c: c['links'][2].update(file=FILES[1]),
                   lambda c: c['links'][2].update(sha256='0' * 64)):
        broken = json.loads(json.dumps(chain))
        change(broken)
        (copy / 'chain.json').write_text(json.dumps(broken, indent=2) + '\n')
        assert not verify_run(copy).whole
