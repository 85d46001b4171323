"""Gallery test of a run, against embeddings of plain mmpretrain in numpy."""
import json
import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from tiny_classifier import (CLASSES, REQUESTS, UNSEEN, base_checkpoint,
                             logits_of, plain_model, read_images, write_config,
                             write_images)
from tiny_run import run_sequence

from gslora_mm.engine import gallery_run, read_config
from gslora_mm.engine.gallery_run import GalleryTest
from gslora_mm.engine.settings import ForgetSettings
from gslora_mm.engine.test_checkpoint import CheckpointTest
from gslora_mm.evaluation.gallery_table import format_gallery
from gslora_mm.utils import ForgetError

FAR = .2
FOLDERS = ['base'] + [f'request_{i:02d}' for i in (1, 2)]
# A high rate damages the embeddings, or every rank-1 would stay the same.
OPTIONS = {'forget.gallery.far': FAR, 'optim_wrapper.optimizer.lr': .4}
GALLERY_FILES = ('gallery.json', 'gallery_report.json',
                 'gallery_templates.npz')


def read(path):
    return json.loads(path.read_text())


def write_tinted(root):
    """Images of one class differ so much that some look like another."""
    rng = np.random.default_rng(5)
    for path in sorted(write_images(root).glob('*/*/*.png')):
        image = cv2.imread(str(path)) + rng.normal(0, 35, 3)
        cv2.imwrite(str(path), np.clip(image, 0, 255).astype(np.uint8))
    return root


@pytest.fixture(scope='module')
def done(tmp_path_factory):
    """A finished run with a gallery; read only."""
    folder = tmp_path_factory.mktemp('gallery')
    images = write_tinted(folder / 'images')
    config = write_config(folder / 'own.py', data_root=str(images))
    run_sequence(config, folder / 'run', **OPTIONS)
    return SimpleNamespace(config=config, images=images, run=folder / 'run')


@pytest.fixture(scope='module')
def truth(done):
    """Similarities of every model's probes to each kind of templates."""
    files = [base_checkpoint()
             ] + [done.run / name / 'merged.pth' for name in FOLDERS[1:]]
    found, old = {}, None
    for name, file in zip(FOLDERS, files):
        gallery, labels = embeddings(done, file, 'train')
        new = np.stack([
            gallery[labels == c].mean(0) if
            (labels == c).any() else gallery[0] * np.nan
            for c in range(len(CLASSES))
        ])
        new /= np.linalg.norm(new, axis=1, keepdims=True)
        old = new if old is None else old
        probes, labels = embeddings(done, file, 'val')
        found[name] = dict(new=probes @ new.T, old=probes @ old.T)
    return found, labels


def embeddings(done, checkpoint, split):
    """Unit vectors that enter the last layer of the head, and labels."""
    model = plain_model(done.config)
    state = torch.load(checkpoint, weights_only=True)['state_dict']
    model.load_state_dict(state)
    images, names, _ = read_images(split, done.images)
    found = []
    model.head.fc.register_forward_pre_hook(
        lambda module, args: found.append(args[0].double().numpy()))
    logits_of(model, images)
    vectors = found[0]
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
            np.array([CLASSES.index(name) for name in names]))


def rank1(cosines, labels, members):
    rows = [i for i, k in enumerate(labels) if CLASSES[k] in members]
    return np.mean([np.nanargmax(cosines[i]) == labels[i] for i in rows])


def tar(cosines, labels, members, retained):
    """True accepts above the n-th best impostor, nothing interpolated."""
    impostors = sorted(
        (cosines[i, k] for i, own in enumerate(labels)
         for k in range(len(CLASSES))
         if k != own and CLASSES[own] in retained and CLASSES[k] in retained),
        reverse=True)
    threshold = impostors[int(FAR * len(impostors) + 1e-9)]
    return np.mean([
        cosines[i, k] > threshold for i, k in enumerate(labels)
        if CLASSES[k] in members
    ])


@pytest.mark.parametrize('index', [1, 2])
def test_numbers_are_those_of_the_plain_merged_model(done, truth, index):
    cosines, labels = truth
    found = read(done.run / FOLDERS[index] / 'gallery.json')
    gone = sum(REQUESTS[:index - 1], [])
    retained = [
        c for c in CLASSES if c not in [*gone, *REQUESTS[index - 1], *UNSEEN]
    ]
    after, before, base = (cosines[FOLDERS[i]] for i in (index, index - 1, 0))
    for short, members in (('f', REQUESTS[index - 1]), ('r', retained)):
        for suffix, kind in (('', 'new'), ('_old_templates', 'old')):
            for when, of in (('', after), ('_before', before)):
                name = f'{short}{suffix}{when}'
                assert found[f'rank1_{name}'] == rank1(of[kind], labels,
                                                       members), name
                assert found[f'tar_{name}'] == tar(of[kind], labels, members,
                                                   retained), name
        assert found[f'rank1_{short}_base'] == rank1(base['new'], labels,
                                                     members)
    if gone:
        assert found['rank1_o'] == rank1(after['new'], labels, gone)
    # Unseen classes have no training image to be enrolled by.
    assert found['not_enrolled'] == 1 and found['rank1_m'] is None
    assert found['far'] == FAR and found['chance'] == 1 / 5


def test_the_numbers_tell_models_and_templates_apart(done):
    first = read(done.run / 'request_01/gallery.json')
    assert first['rank1_f'] < first['rank1_f_before'] < 1
    assert first['rank1_f'] != first['rank1_f_old_templates']
    assert first['tar_r'] != first['tar_r_old_templates']


def test_files_and_summary(done):
    assert {p.name
            for p in (done.run / 'base').glob('gallery*')
            } == {*GALLERY_FILES} - {'gallery.json'}
    summary = read(done.run / 'summary.json')
    table = pd.read_csv(done.run / 'summary.csv')
    for row, folder in zip(summary['requests'], FOLDERS[1:]):
        assert {p.name
                for p in (done.run / folder).glob('gallery*')
                } == {*GALLERY_FILES} - {'gallery_templates.npz'}
        found = read(done.run / folder / 'gallery.json')
        assert row['gallery'] == found
        line = table[table.request == row['request']].iloc[0]
        for name in ('rank1_f', 'rank1_r_before', 'tar_r',
                     'rank1_f_old_templates'):
            assert line[f'gallery_{name}'] == pytest.approx(found[name])


def test_table(done):
    rows = read(done.run / 'summary.json')['requests']
    text = format_gallery(rows)
    assert text.isascii() and max(map(len, text.splitlines())) <= 110
    assert 'TAR at FAR 0.2' in text and 'not enrolled: 1' in text
    new, old = [line for line in text.splitlines() if ' -> ' in line][:2]
    assert new.split()[:4] == ['1', 'coral,', 'amber', 'new']
    assert old.split()[0] == 'old'
    for line, suffix in ((new, ''), (old, '_old_templates')):
        values = ((rows[0]['gallery'][f'{key}{suffix}_before'],
                   rows[0]['gallery'][f'{key}{suffix}'])
                  for key in ('rank1_f', 'tar_f', 'rank1_r', 'tar_r'))
        assert '  '.join(f'{a:.3f} -> {b:.3f}' for a, b in values) in line
    # Too few impostors for the rate: said, rather than a dash alone.
    rows[0]['gallery'].update(far=1e-3, tar_r=None)
    assert 'TAR -: fewer than 1000 pairs' in format_gallery(rows)
    del rows[0]['gallery']
    assert format_gallery(rows[:1]) == ''


def test_checkpoint_test_measures_the_same(done, tmp_path):
    cfg = read_config(str(done.config), OPTIONS)
    found = CheckpointTest(
        cfg, done.run / 'request_01/merged.pth',
        work_dir=tmp_path).run()['gallery']
    # Before the first request is the base.
    assert found == read(done.run / 'request_01/gallery.json')


def test_finished_gallery_is_not_computed_again(done, monkeypatch, tmp_path):
    copy = tmp_path / 'run'
    shutil.copytree(done.run, copy)
    before = {p: p.stat().st_mtime_ns for p in copy.rglob('gallery*')}
    assert len(before) == 6
    with monkeypatch.context() as patch:
        patch.setattr(GalleryTest, '_embeddings', None)
        run_sequence(done.config, copy, resume=True, **OPTIONS)
    assert {p: p.stat().st_mtime_ns for p in copy.rglob('gallery*')} == before
    # What was killed before its end is computed again, and alone.
    for name in ('gallery.json', 'gallery_report.json'):
        (copy / 'request_02' / name).unlink()
    run_sequence(done.config, copy, resume=True, **OPTIONS)
    for path, when in before.items():
        assert path.read_bytes() == (done.run /
                                     path.relative_to(copy)).read_bytes()
        assert (path.stat().st_mtime_ns != when) == ('request_02' in str(path))


@pytest.mark.parametrize('content', [None, b'PK no archive', b''])
def test_damaged_templates(done, tmp_path, content):
    copy = tmp_path / 'run'
    shutil.copytree(done.run, copy)
    (copy / 'request_02/gallery_report.json').unlink()
    path = copy / 'base/gallery_templates.npz'
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ForgetError, match='templates.npz are gone or damaged'):
        run_sequence(done.config, copy, resume=True, **OPTIONS)
    (copy / 'base/gallery_report.json').unlink()
    run_sequence(done.config, copy, resume=True, **OPTIONS)
    name = 'request_02/gallery.json'
    assert read(copy / name) == read(done.run / name)


def test_every_process_alone_sees_all_images(done, monkeypatch):
    """mmengine's samplers would give the main process its share only."""
    from mmengine.dataset import sampler
    monkeypatch.setattr(sampler, 'get_dist_info', lambda: (0, 2))
    cfg = read_config(str(done.config), OPTIONS)
    test = GalleryTest(cfg, ForgetSettings.from_config(cfg))
    state = torch.load(base_checkpoint(), weights_only=True)['state_dict']
    gallery, probes = test._embeddings(state, 'base')
    assert len(gallery[1]) == 5 * 8 and len(probes[1]) == 6 * 4


def test_gallery_of_its_own(done, tmp_path):
    """Enrolled by other images, here the probes themselves: all found."""
    options = dict(
        OPTIONS, **{
            'forget.gallery.dataset':
            dict(
                type='CustomDataset',
                data_root=str(done.images),
                data_prefix='val')
        })
    cfg = read_config(str(done.config), options)
    test = CheckpointTest(cfg, base_checkpoint(), work_dir=tmp_path, request=1)
    found = test.run()['gallery']
    vectors, labels = embeddings(done, base_checkpoint(), 'val')
    means = np.stack([vectors[labels == c].mean(0) for c in range(6)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    assert found['rank1_f'] == rank1(vectors @ means.T, labels, REQUESTS[0])
    assert found['not_enrolled'] == 0 and found['chance'] == 1 / 6
    options['forget.gallery.dataset']['data_prefix'] = 'gone'
    with pytest.raises(ForgetError, match='of forget.gallery.dataset are mis'):
        CheckpointTest(
            read_config(str(done.config), options), base_checkpoint())


def test_corrupt_image_of_the_gallery(done, tmp_path):
    """Enrolment reads images that training may never have opened."""
    root = tmp_path / 'images'
    shutil.copytree(done.images, root)
    (root / 'train/beryl/3.png').write_bytes(b'no image')
    config = write_config(tmp_path / 'own.py', data_root=str(root))
    with pytest.raises(ForgetError, match='cannot read.*train/beryl/3.png; '):
        run_sequence(config, tmp_path / 'run', **OPTIONS)


@pytest.mark.parametrize('options, message', [
    ({
        'forget.gallery.far': 1
    }, 'far is 1; .* above 0 and below 1'),
    ({
        'forget.gallery.far': 0
    }, 'far is 0; '),
    ({
        'forget.gallery.far': 'few'
    }, "far is 'few'; it must be a number"),
    ({
        'forget.gallery': 3
    }, 'forget.gallery is 3; it must be a section'),
    ({
        'forget.gallery.dataset': 3
    }, 'gallery.dataset is 3; it must be a sec'),
    ({
        'forget.gallery.fra': .1
    }, 'forget.gallery.fra is unknown'),
])
def test_bad_settings(done, tmp_path, options, message):
    with pytest.raises(ForgetError, match=message):
        run_sequence(done.config, tmp_path / 'run', **options)
    assert not (tmp_path / 'run').exists()


def test_an_empty_section_asks_for_the_defaults(done):
    for gallery, far in ((dict(), 1e-3), (dict(far=None), 1e-3), (None, None)):
        cfg = read_config(str(done.config), {'forget.gallery': gallery})
        found = ForgetSettings.from_config(cfg).gallery
        assert found.get('far') == far


def test_heads_without_an_embedding():
    with pytest.raises(ForgetError, match='the head Linear gives no embed'):
        gallery_run.check_embeddings(
            SimpleNamespace(head=torch.nn.Linear(2, 2)))
    model = SimpleNamespace(
        head=torch.nn.Linear(2, 2),
        extract_feat=lambda inputs, stage: (inputs, inputs))
    with pytest.raises(ForgetError, match='more than one embedding'):
        gallery_run._embedding(model, torch.zeros(1, 2))
