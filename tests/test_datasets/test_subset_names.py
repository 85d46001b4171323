"""How a subset file names its images, and files that are not there."""
import json
import shutil

import pytest
from tiny_data import IMAGES, build, coco_cfg, write_coco

from gslora_mm.datasets.data_checks import not_on_disk
from gslora_mm.utils import ForgetError

FOLDERS = ('ant', 'bee', 'cat')


@pytest.fixture
def folders(tmp_path):
    """A data set in which every class folder has the same file names."""
    for name in FOLDERS:
        for image in ('0.png', 'deep/1.png', '2.png', '3.png'):
            path = tmp_path / 'train' / name / image
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b'0')
    return dict(
        type='CustomDataset',
        _scope_='mmpretrain',
        data_root=str(tmp_path),
        data_prefix='train',
        metainfo=dict(classes=FOLDERS),
        serialize_data=False,
        pipeline=[])


def paths_of(dataset):
    return [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]


def chosen(cfg, file, **kwargs):
    dataset = build(
        None, ['ant'], ['bee', 'cat'],
        cfg,
        subset_file=str(file),
        ratio=.5,
        **kwargs)
    return dataset, json.loads(file.read_text())


def test_images_of_folders_are_known_by_their_paths(folders, tmp_path):
    file = tmp_path / 'subset.json'
    dataset, written = chosen(folders, file)
    names = written['forget']['file_names'] + written['retain']['file_names']
    assert [f'{tmp_path}/train/{name}' for name in names] == paths_of(dataset)
    assert len(set(names)) == len(names) == 6
    assert names[0].startswith('ant/')
    for stream in ('forget', 'retain'):
        assert written[stream]['img_ids'] == written[stream]['file_names']
    # A resumed run reads them again, wherever the data lies by now.
    moved = tmp_path / 'moved'
    shutil.copytree(tmp_path / 'train', moved / 'train')
    again, _ = chosen(dict(folders, data_root=str(moved)), file)
    assert [p.replace(str(moved), str(tmp_path))
            for p in paths_of(again)] == paths_of(dataset)


def test_an_image_that_a_list_names_twice(folders, tmp_path):
    lines = ['ant/0.png 0', 'bee/0.png 1', 'bee/0.png 1', 'bee/0.png 1']
    (tmp_path / 'train.txt').write_text('\n'.join(lines))
    file = tmp_path / 'subset.json'
    cfg = dict(folders, ann_file='train.txt')
    dataset = build(None, ['ant'], ['bee'], cfg, subset_file=str(file))
    written = json.loads(file.read_text())['retain']
    assert written['file_names'] == ['bee/0.png'] * 3
    assert len(set(written['img_ids'])) == 3
    again = build(None, ['ant'], ['bee'], cfg, subset_file=str(file))
    assert again._positions == dataset._positions


def test_subset_file_with_places_for_ids(folders, tmp_path):
    """As it was written before images of folders had names."""
    file = tmp_path / 'subset.json'
    _, written = chosen(folders, file)
    for stream in ('forget', 'retain'):
        written[stream]['img_ids'] = list(range(4))
    file.write_text(json.dumps(written))
    with pytest.raises(
            ForgetError,
            match='subset.json lists image 0 for the '
            'forget stream.*another work-dir') as caught:
        chosen(folders, file)
    assert '\n' not in str(caught.value)


def test_coco_images_keep_their_ids(tmp_path):
    write_coco(tmp_path, IMAGES)
    file = tmp_path / 'subset.json'
    build(tmp_path, cfg=coco_cfg(tmp_path), subset_file=str(file))
    written = json.loads(file.read_text())['forget']
    assert written == dict(
        img_ids=[100, 101, 106], file_names=['0.jpg', '1.jpg', '6.jpg'])


def test_files_that_are_not_on_disk(tmp_path, monkeypatch):
    for name in ('a.jpg', 'deep/b.jpg'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b'')
    names = ['a.jpg', 'gone.jpg', 'deep/b.jpg', 'deep/a.jpg', 'no/b.jpg',
             'a.jpg/b.jpg', 'deep/../a.jpg']  # yapf: disable
    absent = ['gone.jpg', 'deep/a.jpg', 'no/b.jpg', 'a.jpg/b.jpg']
    found = not_on_disk(f'{tmp_path}/{name}' for name in names)
    assert found == [f'{tmp_path}/{name}' for name in absent]
    monkeypatch.chdir(tmp_path)
    assert not_on_disk(names) == absent
