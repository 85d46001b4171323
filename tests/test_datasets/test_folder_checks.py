import pytest
from mmpretrain.datasets import CustomDataset, ImageNet

from gslora_mm.datasets import SHAPES, ShapesFolder, check_folder_data
from gslora_mm.utils import ForgetError

KEY = 'train_dataloader.dataset'
CLASSES = ('ant', 'bee', 'cat', 'dog')


def write_images(root, folders=CLASSES):
    for name in folders:
        (root / name).mkdir(parents=True, exist_ok=True)
        # Cheap checks do not open images: any file of that name will do.
        for image in ('a.jpg', 'b.JPEG'):
            (root / name / image).write_bytes(b'0')


def check(data, classes=CLASSES, kind=CustomDataset, **kwargs):
    check_folder_data(data, classes, KEY, kind, **kwargs)


@pytest.fixture
def data(tmp_path):
    write_images(tmp_path / 'train')
    return dict(
        type='CustomDataset',
        _scope_='mmpretrain',
        data_root=str(tmp_path),
        data_prefix='train',
        metainfo=dict(classes=CLASSES),
        pipeline=[dict(type='NotBuilt')])


@pytest.fixture
def listed(data, tmp_path):
    """The same images by an annotation file, and its lines."""
    lines = [
        f'{name}/{image} {label}' for label, name in enumerate(CLASSES)
        for image in ('a.jpg', 'b.JPEG')
    ]
    data['ann_file'] = 'train.txt'
    (tmp_path / 'train.txt').write_text('\n'.join(lines) + '\n')
    return data, tmp_path / 'train.txt', lines


def refused(match, data, *args, **kwargs):
    with pytest.raises(ForgetError, match=match) as caught:
        check(data, *args, **kwargs)
    assert '\n' not in str(caught.value)


def test_good_data(data, listed):
    check(listed[0])
    del data['ann_file']
    check(data)
    del data['metainfo']
    check(data)


def test_what_passes_is_loaded_with_the_right_labels(data):
    check(data)
    args = {k: v for k, v in data.items() if k not in ('type', '_scope_')}
    dataset = CustomDataset(**dict(args, pipeline=()))
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        assert f'/{CLASSES[info["gt_label"]]}/' in info['img_path']


@pytest.mark.parametrize('key', ['data_root', 'data_prefix'])
def test_missing_folder(data, key, tmp_path):
    data[key] = str(tmp_path / 'gone')
    refused(
        rf'{tmp_path}/gone(/train)? does not exist; .*--cfg-options '
        rf'{KEY}.data_root=FOLDER; .*without any download: python '
        'tools/train.py configs/gslora/vit_shapes_forget.py', data)


def test_a_folder_of_no_class(data, tmp_path):
    write_images(tmp_path / 'train', ['dgo'])
    refused("train/dgo names an unknown class 'dgo'; did you mean 'dog'", data)
    (tmp_path / 'train/dgo').rename(tmp_path / 'train/xylophone')
    refused("'xylophone'; the 4 classes are ant, bee, cat, dog", data)


def test_no_folder_of_a_class(data, tmp_path):
    for name in ('bee', 'dog'):
        (tmp_path / 'train' / name).rename(tmp_path / name)
    message = 'train has no folder for 2 of 4 classes: bee, dog; .*empty'
    refused(message, data)
    # mmpretrain counts the folders, so that even these need theirs.
    refused(message, data, may_lack=('bee', 'dog'))


def test_no_image_of_a_class(data, tmp_path):
    for name in ('bee', 'cat'):
        for image in (tmp_path / 'train' / name).iterdir():
            image.unlink()
    (tmp_path / 'train/bee/.hidden.jpg').write_bytes(b'0')
    (tmp_path / 'train/cat/notes.txt').write_bytes(b'0')
    refused('2 of 4 classes have no images in .*train: bee, cat; .*.jpg', data)
    refused('1 of 4 classes have no images .*: bee; ', data, may_lack=['cat'])
    check(data, may_lack=('cat', 'bee'))
    (tmp_path / 'train/cat/deep/er').mkdir(parents=True)
    (tmp_path / 'train/cat/deep/er/c.png').write_bytes(b'0')
    check(data, may_lack=('bee', ))


def test_only_the_first_few_are_named(tmp_path):
    classes = [f'class{i:02d}' for i in range(12)]
    write_images(tmp_path, classes[:2])
    refused('for 10 of 12 classes: class02, .* class06, \\.\\.\\.;',
            dict(data_root=str(tmp_path)), classes)


def test_order_of_the_classes(data):
    """mmpretrain itself would take dogs for ants here."""
    classes = ('dog', 'ant', 'bee', 'cat')
    data['metainfo'] = dict(classes=classes)
    refused(
        "class 0 is 'dog', but label 0 is the folder 'ant'.*sort "
        f'{KEY}.metainfo.classes', data, classes)


def test_other_classes_than_the_model(data):
    refused('names 4 classes, but not the 3 of the model', data, CLASSES[:3])
    refused('names 4 classes', data, CLASSES[::-1])


def test_no_labels(data):
    refused('with_label is False', dict(data, with_label=False))


def test_bad_arguments(data):
    refused(f'{KEY} of the config cannot be built: .*colour',
            dict(data, colour='red'))


def test_shapes(tmp_path):
    data = dict(
        data_root=str(tmp_path / 'set'),
        data_prefix='train',
        recipe=dict(num_train=1, num_val=1, size=16))
    # Not in sorted order: their labels follow the names.
    assert list(SHAPES) != sorted(SHAPES)
    check(data, SHAPES, ShapesFolder)
    (tmp_path / 'set/train/ring/00000.jpg').unlink()
    refused('1 of 15 classes have no images .*: ring;', data, SHAPES,
            ShapesFolder)


def test_imagenet_folders_are_counted(tmp_path):
    classes = [f'word {i}' for i in range(3)]
    data = dict(
        data_root=str(tmp_path), split='train', metainfo=dict(classes=classes))
    write_images(tmp_path / 'train', ['n01', 'n02', 'n03'])
    check(data, classes, ImageNet)
    (tmp_path / 'train/n02/a.jpg').unlink()
    (tmp_path / 'train/n02/b.JPEG').unlink()
    refused('1 of 3 classes have no images in .*: word 1;', data, classes,
            ImageNet)
    write_images(tmp_path / 'train', ['n04'])
    refused('train has 4 folders, but the model has 3 classes', data, classes,
            ImageNet)


def test_imagenet_with_its_annotation_file(tmp_path):
    write_images(tmp_path / 'val', ['.'])
    (tmp_path / 'meta').mkdir()
    (tmp_path / 'meta/val.txt').write_text('a.jpg 0\nb.JPEG 1\n')
    data = dict(
        data_root=str(tmp_path),
        split='val',
        metainfo=dict(classes=('word 0', 'word 1')))
    check(data, ('word 0', 'word 1'), ImageNet)


def test_missing_annotation_file(listed):
    listed[1].unlink()
    refused('annotations of train.*train.txt does not exist; .*ann_file=FILE',
            listed[0])


@pytest.mark.parametrize('line, message', [
    ('dog/a.jpg 4', 'line 9 of .*has the label 4, but .* labels 0 to 3'),
    ('dog/a.jpg -1', 'line 9 of .*has the label -1'),
    ('dog/a.jpg dog', "line 9 of .* is 'dog/a.jpg dog'; it must be"),
    ('dog/a.jpg', "line 9 of .* is 'dog/a.jpg'; it must be"),
    ('', "line 9 of .* is ''; it must be"),
    ('dog/c.jpg 3', '1 of 9 images .* not on disk, e.g. .*/dog/c.jpg;'),
    ('eel/a.jpg 3', '1 of 9 images .* not on disk, e.g. .*/eel/a.jpg;'),
])
def test_bad_lines(listed, line, message):
    data, path, lines = listed
    path.write_text('\n'.join([*lines, line]) + '\n')
    refused(message, data)


def test_a_binary_annotation_file(listed):
    listed[1].write_bytes(b'\xff\xfe\x00')
    refused('train.txt is no text file', listed[0])


def test_listed_classes_without_images(listed):
    data, path, lines = listed
    path.write_text('\n'.join(lines[2:]))
    refused('1 of 4 classes have no images in .*train.txt: ant;', data)
    check(data, may_lack=('ant', ))


def test_listed_paths_may_have_blanks(listed, tmp_path):
    data, path, lines = listed
    (tmp_path / 'train/dog/my dog.jpg').write_bytes(b'0')
    path.write_text('\n'.join([*lines, 'dog/my dog.jpg 3']))
    check(data)
