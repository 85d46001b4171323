"""Every change of a run is found, and named."""
import json
import random
import shutil

import pytest
import torch

from gslora_mm.lora import fingerprint
from gslora_mm.provenance import Chain, verify_run
from gslora_mm.provenance.digests import describe_file
from gslora_mm.utils import ForgetError, write_json

FLIPS = 2


def read(path):
    return json.loads(path.read_text())


def covered(run):
    """Every file that a chain covers, itself included."""
    files = ['chain.json', 'summary.json', 'summary.md']
    for link in Chain(run).links:
        manifest = read(run / link['file'])
        folder = (run / link['file']).parent
        files.append(link['file'])
        for name in {**manifest['files'], **manifest['occasion']['files']}:
            files.append((folder / name).relative_to(run).as_posix())
    return files


def faults(run, **options):
    return {f['file']: f for f in verify_run(run, **options).faults}


def test_untouched_run_is_whole(run, copy):
    """Also where it was moved to."""
    for folder in (run, copy):
        found = verify_run(folder, head=Chain(run).head, data=True)
        assert found.whole and found.faults == []
        assert found.proof['requests'] == 2 and found.checked > 40


def flips(run, places):
    for file in covered(run):
        path = run / file
        content = path.read_bytes()
        for place, bit in places(file, len(content)):
            broken = bytearray(content)
            broken[place] ^= bit
            path.write_bytes(broken)
            try:
                found = [f['file'] for f in verify_run(run).faults]
            except ForgetError as err:
                found = [file] if file in str(err) else []
            assert file in found, (file, place, bit)
        path.write_bytes(content)
    assert verify_run(run).whole


def test_single_flipped_bits_are_found(copy):
    """In each file that a run leaves behind."""
    rng = random.Random(0)
    flips(
        copy, lambda _, size: [(rng.randrange(size), 1 << rng.randrange(8))
                               for _ in range(FLIPS)])


@pytest.mark.slow
def test_many_flipped_bits_are_found(copy):
    """Every 8th byte of small files, 200 of large ones."""
    rng = random.Random(1)

    def places(_, size):
        step = 8 if size < 3000 else size // 200
        return [(i, 1 << rng.randrange(8))
                for i in range(rng.randrange(step), size, step)]

    flips(copy, places)


def test_every_file_that_is_missing_is_named(copy):
    for file in covered(copy):
        if file.startswith('summary'):
            continue
        shutil.move(copy / file, copy.parent / 'away')
        assert faults(copy)[file]['fault'] == 'missing', file
        shutil.move(copy.parent / 'away', copy / file)


def test_tensors_that_were_altered_are_named(copy):
    path = copy / 'request_01/merged.pth'
    content = torch.load(path, weights_only=True)
    content['state_dict']['head.fc.bias'][0] += 1
    del content['state_dict']['backbone.cls_token']
    torch.save(content, path)
    detail = faults(copy)['request_01/merged.pth']['detail']
    assert '1 tensor altered: head.fc.bias' in detail
    assert '1 tensor missing: backbone.cls_token' in detail
    path.write_bytes(path.read_bytes()[:1000])
    assert 'can no longer be read' in faults(
        copy)['request_01/merged.pth']['detail']


def test_alteration_beside_the_tensors(copy):
    path = copy / 'request_02/merged.pth'
    content = torch.load(path, weights_only=True)
    content['meta']['gslora']['classes'] = ['beryl']
    torch.save(content, path)
    assert 'every tensor is as it was' in faults(
        copy)['request_02/merged.pth']['detail']


def test_base(copy, base, tmp_path):
    other = tmp_path / 'other.pth'
    content = torch.load(base, weights_only=True)
    content['state_dict']['head.fc.bias'][0] += 1
    torch.save(content, other)
    assert 'head.fc.bias' in faults(
        copy, base=str(other))[str(other)]['detail']
    shutil.copy(base, other)
    assert verify_run(copy, base=str(other)).whole
    gone = str(tmp_path / 'gone.pth')
    assert faults(copy, base=gone)[gone]['fault'] == 'missing'


def test_head_that_was_written_down(copy):
    head = Chain(copy).head
    assert verify_run(copy, head=head).whole
    found = faults(copy, head='0' * 64)['chain.json']
    assert 'rewritten' in found['detail'] and head in found['detail']


def test_last_link_cut_off(copy):
    """The head alone tells, which is why it is kept elsewhere."""
    head, chain = Chain(copy).head, read(copy / 'chain.json')
    chain['links'].pop()
    chain['head'] = chain['links'][-1]['sha256']
    write_json(copy / 'chain.json', chain)
    shutil.rmtree(copy / 'request_02')
    assert not verify_run(copy, head=head).whole


def test_chain_is_had_from_the_manifests(copy):
    head = Chain(copy).head
    (copy / 'chain.json').unlink()
    found = verify_run(copy)
    assert found.head == head
    assert [f['file'] for f in found.faults] == ['chain.json']


def test_files_that_no_manifest_covers(copy):
    (copy / 'request_01/notes.txt').write_text('mine')
    found = verify_run(copy)
    assert found.whole and 'request_01/notes.txt' in found.unknown
    assert not {'chain.json', 'run.json', 'request_01/merged.pth'} & set(
        found.unknown)


def test_proof_is_what_the_tensors_say(run, base):
    """Against the files, compared here."""
    before = torch.load(base, weights_only=True)['state_dict']
    after = torch.load(
        run / 'request_02/merged.pth', weights_only=True)['state_dict']
    changed = sorted(k for k in before if not torch.equal(before[k], after[k]))
    proof = verify_run(run).proof
    assert proof['changed'] == changed and 0 < len(changed) < len(before)
    assert proof['equal'] == len(before) - len(changed)
    assert proof['as_groups_say']


def test_release_of_an_earlier_request(run):
    proof = verify_run(run, release=str(run / 'request_01/merged.pth')).proof
    assert proof['requests'] == 1


def test_release_of_another_precision(run, tmp_path):
    content = torch.load(run / 'request_02/merged.pth', weights_only=True)
    content['state_dict'] = {
        k: v.half() if v.is_floating_point() else v
        for k, v in content['state_dict'].items()
    }
    half = tmp_path / 'half.pth'
    torch.save(content, half)
    found = verify_run(run, release=str(half))
    assert 'not the result of any request' in found.faults[0]['detail']


def rewritten(run, file, change):
    """A chain that somebody wrote anew over files that were changed."""
    change(run / file)
    chain = Chain(run)
    files = [link['file'] for link in chain.links]
    chain.links = []
    for name in files:
        manifest = read(run / name)
        for part in (manifest['files'], manifest['occasion']['files']):
            part.update(
                {k: describe_file((run / name).parent / k)
                 for k in part})
        chain.append(name, manifest)


def test_forged_weights_contradict_the_groups(copy):
    """Whoever rewrites the chain as well is caught by groups.json."""
    head = Chain(copy).head

    def change(path):
        content = torch.load(path, weights_only=True)
        content['state_dict']['head.fc.bias'][0] += 1
        content['meta']['gslora']['merged_fingerprint'] = fingerprint(
            content['state_dict'])
        torch.save(content, path)

    rewritten(copy, 'request_02/merged.pth', change)
    found = [(f['file'], f['detail']) for f in verify_run(copy).faults]
    for file in ('request_02/groups.json',
                 str(copy / 'request_02/merged.pth')):
        assert any(file == f and 'head.fc.bias' in detail
                   for f, detail in found)
    assert 'chain.json' not in dict(found)
    assert 'chain.json' in faults(copy, head=head)


def test_forged_groups_contradict_the_weights(copy):

    def change(path):
        groups = read(path)
        for row in groups['groups']:
            row['bit_identical'] = not row['bit_identical']
        write_json(path, groups)

    rewritten(copy, 'request_01/groups.json', change)
    details = [f['detail'] for f in verify_run(copy).faults]
    assert any('is bit-identical, it says otherwise' in d for d in details)
    assert any('is not bit-identical, it says' in d for d in details)


def test_forged_chain_names_files_elsewhere(copy):
    manifest = read(copy / 'request_02/manifest.json')
    about = next(iter(manifest['files'].values()))
    for name in ('../../secret', '/etc/passwd', 'a' * 5000, 'nul\0'):
        own = json.loads(json.dumps(manifest))
        own['files'][name] = about
        chain = Chain(copy)
        chain.links = chain.links[:2]
        chain.append('request_02/manifest.json', own)
        assert not verify_run(copy).whole, name


def test_folder_without_manifests(tmp_path):
    with pytest.raises(ForgetError, match='holds no manifests'):
        verify_run(tmp_path)
    with pytest.raises(ForgetError, match='does not exist'):
        verify_run(tmp_path / 'none')


def test_image_that_was_altered(copy, tmp_path):
    from gslora_mm.provenance.data_lists import read_images
    path, digest = next(read_images(copy / 'request_01/images.csv'))
    assert digest
    own = tmp_path / 'image.png'
    own.write_bytes(b'other')
    text = (copy / 'request_01/images.csv').read_text()
    (copy / 'request_01/images.csv').write_text(text.replace(path, str(own)))
    assert 'another content' in faults(copy, data=True)[str(own)]['detail']
