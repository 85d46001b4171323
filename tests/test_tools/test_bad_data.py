"""Damaged data ends with one line that names the file, and a cure."""
import json
import shutil

import pytest
from tool_calls import error_of

OPTIONS = ('--cfg-options', 'forget.data.epoch_batches=1',
           'train_cfg.max_epochs=1')


def train(data, tmp_path, *options):
    return error_of('train', data.config, '--work-dir', tmp_path / 'out',
                    *OPTIONS, *options)


def edit(data, change, split='train'):
    path = data.root / f'annotations/{split}.json'
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def test_missing_annotation_file(own_data, tmp_path):
    path = own_data.root / 'annotations/val.json'
    path.unlink()
    message = train(own_data, tmp_path)
    assert (f'annotations of val_dataloader.dataset are missing: {path} does '
            'not exist') in message
    assert 'val_dataloader.dataset.ann_file=FILE' in message


@pytest.mark.parametrize('split', ['train', 'val'])
def test_truncated_annotation_file(own_data, tmp_path, split):
    path = own_data.root / f'annotations/{split}.json'
    path.write_bytes(path.read_bytes()[:2000])
    message = train(own_data, tmp_path)
    assert f'{path} is truncated or no JSON' in message
    assert 'download it again' in message
    assert not (tmp_path / 'out').exists()


def test_annotation_file_of_another_kind(own_data, tmp_path):
    path = own_data.root / 'annotations/train.json'
    path.write_text('[1, 2]')
    assert f'{path} is not a COCO detection file' in train(own_data, tmp_path)


@pytest.mark.parametrize('key,value,culprit',
                         [('category_id', 99, 'the unknown category 99'),
                          ('image_id', 1234, 'image 1234'),
                          ('bbox', [1, 2, 3], 'no box of four numbers')])
def test_annotation_that_refers_to_nothing(own_data, tmp_path, key, value,
                                           culprit):
    path = edit(own_data,
                lambda content: content['annotations'][3].update({key: value}))
    message = train(own_data, tmp_path)
    assert culprit in message and 'annotation 4' in message
    assert str(path) in message


def test_annotation_without_a_box(own_data, tmp_path):
    path = edit(own_data,
                lambda content: content['annotations'][3].pop('bbox'))
    message = train(own_data, tmp_path)
    assert str(path) in message and 'bbox is missing' in message


def test_class_without_a_category(own_data, tmp_path):
    path = edit(own_data, lambda content: content['categories'].pop(), 'val')
    message = train(own_data, tmp_path)
    assert "'drop'" in message and str(path) in message


@pytest.mark.parametrize('split', ['train', 'val'])
def test_image_not_on_disk(own_data, tmp_path, split):
    path = own_data.root / split / '00002.jpg'
    path.unlink()
    message = train(own_data, tmp_path)
    assert '1 of' in message and str(path) in message
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('content', [b'', b'no image at all' * 9])
def test_corrupt_validation_image(own_data, tmp_path, content):
    path = own_data.root / 'val/00007.jpg'
    path.write_bytes(content)
    message = train(own_data, tmp_path)
    assert f'cannot read the image {path}; replace' in message
    assert 'val.json' in message


@pytest.mark.parametrize('workers', [0, 1])
def test_corrupt_training_image(own_data, tmp_path, run, workers):
    for path in (own_data.root / 'train').glob('*.jpg'):
        path.write_bytes(b'no image')
    out = tmp_path / 'out'
    # The evaluation of the base model is not what is tested here.
    (out / 'base').mkdir(parents=True)
    shutil.copy(run / 'base/report.json', out / 'base')
    message = train(own_data, tmp_path,
                    f'train_dataloader.num_workers={workers}')
    assert f'cannot read the image {own_data.root}/train/' in message
    assert 'replace the file' in message and 'train.json' in message


@pytest.mark.parametrize('split', ['train', 'val'])
def test_pipeline_that_does_not_pack(own_data, tmp_path, split):
    key = f'{split}_dataloader.dataset'
    message = train(own_data, tmp_path, f'{key}.pipeline=[]')
    assert f'the images of {key} come out of their pipeline' in message
    assert 'for detectors with dict(type="PackDetInputs")' in message
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('option, culprit, cure', [
    ('data_prefix=3', 'data_prefix is 3', 'dict(img=FOLDER)'),
    ('data_prefix=images', "data_prefix is 'images'", 'data_prefix.img=FOLD'),
    ('data_prefix.img=3', "{'img': 3}", 'must be a folder'),
    ('data_root=3', 'data_root is 3', 'must be a path'),
    ('ann_file=3', 'ann_file is 3', 'must be a path'),
])
@pytest.mark.parametrize('split', ['train', 'val'])
def test_paths_that_are_none(config, tmp_path, split, option, culprit, cure):
    key = f'{split}_dataloader.dataset'
    message = error_of('train', config, '--work-dir', tmp_path / 'out',
                       '--cfg-options', f'{key}.{option}')
    assert key in message and culprit in message and cure in message
    assert not (tmp_path / 'out').exists()


def test_own_data_is_never_replaced_by_generated_data(config, tmp_path):
    """The config generates its data; the user names a folder of theirs."""
    photo = tmp_path / 'mine/photo.jpg'
    photo.parent.mkdir()
    photo.write_bytes(b'dear to me')
    message = error_of('train', config, '--work-dir', tmp_path / 'out',
                       '--cfg-options',
                       f'train_dataloader.dataset.data_root={photo.parent}')
    assert f'{photo.parent} holds something else' in message
    assert photo.read_bytes() == b'dear to me'
