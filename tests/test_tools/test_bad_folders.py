"""Folders, lists and heads that do not fit end with one line and a cure."""
import shutil
from types import SimpleNamespace

import pytest
import torch
from tiny_classifier import (CLASSES, base_checkpoint, finished_run,
                             images_root, plain_model, tiny_config,
                             write_config, write_images)
from tool_calls import checked, error_of, process

OPTIONS = ('forget.data.epoch_batches=1', 'train_cfg.max_epochs=1')


@pytest.fixture(scope='module')
def config():
    """The config of the tiny run of a classifier."""
    return tiny_config()


@pytest.fixture(scope='module')
def run():
    """Folder of its finished run; read only."""
    return finished_run()


@pytest.fixture
def own(tmp_path):
    """Images that may be damaged, and a config for them."""
    root = write_images(tmp_path / 'own', train=3, val=1)
    return SimpleNamespace(
        root=root,
        config=write_config(tmp_path / 'own.py', data_root=str(root)))


def train(config, tmp_path, *options):
    return error_of('train', config, '--work-dir', tmp_path / 'out',
                    '--cfg-options', *OPTIONS, *options)


def refused_at_once(tmp_path):
    """Nothing was computed or written."""
    return not (tmp_path / 'out').exists()


def listed(names=CLASSES):
    """Options that name the classes of both splits."""
    return [
        f'{split}_dataloader.dataset.metainfo.classes=[{",".join(names)}]'
        for split in ('train', 'val')
    ]


def test_head_of_another_number_of_classes(config, tmp_path):
    """In a process of its own: the error is all there is on stderr."""
    done = process('train', config, '--work-dir', tmp_path / 'out',
                   '--cfg-options', 'model.head.num_classes=7')
    assert done.returncode == 1 and done.stdout == ''
    message = checked(done.stderr)
    assert 'the head has num_classes=7' in message
    assert f'{images_root()}/train has folders of 6 classes' in message
    assert 'set model.head.num_classes' in message
    assert refused_at_once(tmp_path)


def test_list_of_another_number_of_classes(config, tmp_path):
    message = train(config, tmp_path, *listed(CLASSES[:5]))
    assert 'num_classes=6 but the data set names 5 classes' in message
    assert 'train_dataloader.dataset.metainfo.classes' in message


def test_checkpoint_with_another_number_of_classes(config, tmp_path):
    content = torch.load(base_checkpoint(), weights_only=True)
    for key in ('head.fc.weight', 'head.fc.bias'):
        content['state_dict'][key] = content['state_dict'][key][:4]
    path = tmp_path / 'four.pth'
    torch.save(content, path)
    message = train(config, tmp_path, f'load_from={path}')
    assert f'checkpoint {path} does not fit the model' in message
    assert 'head.fc.weight (4, 32) instead of (6, 32)' in message
    assert refused_at_once(tmp_path)


@pytest.mark.parametrize('head, keys', [
    ('linear', 'head.fc.weight'),
    ('cosface', 'head.weight'),
])
def test_checkpoint_of_another_head(config, tmp_path, head, keys):
    other = dict(linear='cosface', cosface='linear')[head]
    config = write_config(tmp_path / 'own.py', head)
    path = base_checkpoint(other)
    message = train(config, tmp_path, f'load_from={path}')
    assert f'checkpoint {path} does not fit' in message and keys in message
    assert 'keys missing' in message and 'unknown keys' in message


@pytest.mark.parametrize('option, culprit', [
    ('model.backbone.arch.num_layers=2', '12 unknown keys'),
    ('model.backbone.patch_size=4', 'backbone.pos_embed (1, 17, 32) instead '
     'of (1, 65, 32)'),
    ('model.backbone.type=DistilledVisionTransformer',
     '1 keys missing (backbone.dist_token)'),
])
def test_checkpoint_of_another_arch(config, tmp_path, option, culprit):
    message = train(config, tmp_path, option)
    assert f'checkpoint {base_checkpoint()} does not fit the model' in message
    assert culprit in message
    assert 'use the config it was trained with' in message
    assert refused_at_once(tmp_path)


@pytest.mark.parametrize('names', [[], listed()])
@pytest.mark.parametrize('split', ['train', 'val'])
def test_folder_that_is_no_class(own, tmp_path, split, names):
    (own.root / split / 'amber').rename(own.root / split / 'ambre')
    message = train(own.config, tmp_path, *names)
    if split == 'train' and not names:
        # The folders of the training images are the classes.
        assert "request 1 names an unknown class 'amber'" in message
        assert "did you mean 'ambre'" in message
    else:
        assert (f'the folder {own.root}/{split}/ambre names an unknown class '
                "'ambre'; did you mean 'amber'") in message
    assert refused_at_once(tmp_path)


def test_folders_in_another_order_than_the_classes(own, tmp_path):
    """mmpretrain would take one for the other in silence."""
    message = train(own.config, tmp_path, *listed(CLASSES[::-1]))
    assert "class 0 is 'jade', but label 0 is the folder 'amber'" in message
    assert 'sort train_dataloader.dataset.metainfo.classes' in message


def test_splits_that_name_other_classes(own, tmp_path):
    """The labels would still be those of the folders, but who knows."""
    message = train(own.config, tmp_path, listed()[0], listed(CLASSES[:5])[1])
    assert ('val_dataloader.dataset names 5 classes, but not the 6 of the '
            'model') in message
    assert 'correct val_dataloader.dataset.metainfo.classes' in message


@pytest.mark.parametrize('split', ['train', 'val'])
def test_class_without_a_folder(own, tmp_path, split):
    shutil.rmtree(own.root / split / 'ebony')
    message = train(own.config, tmp_path, *listed())
    assert f'{own.root}/{split} has no folder for 1 of 6 classes: ebony' in (
        message)
    assert refused_at_once(tmp_path)


@pytest.mark.parametrize('split', ['train', 'val'])
def test_class_without_images(own, tmp_path, split):
    for name in ('beryl', 'jade'):
        for path in (own.root / split / name).iterdir():
            path.rename(path.with_suffix('.txt'))
    message = train(own.config, tmp_path)
    assert (f'2 of 6 classes have no images in {own.root}/{split}: beryl, '
            'jade; add images of them (') in message
    assert '.png' in message
    assert refused_at_once(tmp_path)


def test_unseen_class_needs_validation_images(own, tmp_path):
    """Training images it need not have."""
    shutil.rmtree(own.root / 'val/ivory')
    (own.root / 'val/ivory').mkdir()
    message = train(own.config, tmp_path)
    assert f'1 of 6 classes have no images in {own.root}/val: ivory' in message


@pytest.mark.parametrize('content', [b'', b'no image at all' * 9])
def test_corrupt_validation_image(own, tmp_path, content):
    path = own.root / 'val/coral/0.png'
    path.write_bytes(content)
    message = train(own.config, tmp_path)
    assert f'cannot read the image {path}; replace the file' in message
    assert f'remove the image from {own.root}/val' in message


def test_corrupt_training_image(own, tmp_path, run):
    for path in (own.root / 'train').glob('*/*.png'):
        path.write_bytes(b'no image')
    out = tmp_path / 'out'
    # The evaluation of the base model is not what is tested here.
    (out / 'base').mkdir(parents=True)
    shutil.copy(run / 'base/report.json', out / 'base')
    # The error crosses the border of a process.
    message = train(own.config, tmp_path, 'train_dataloader.num_workers=1')
    assert f'cannot read the image {own.root}/train/' in message
    assert 'replace the file' in message


@pytest.mark.parametrize('names', [[], listed()])
@pytest.mark.parametrize('split', ['train', 'val'])
def test_missing_data_root(config, tmp_path, split, names):
    key = f'{split}_dataloader.dataset'
    message = train(config, tmp_path, f'{key}.data_root={tmp_path}/gone',
                    *names)
    assert (f'images of {key} are missing: {tmp_path}/gone/{split} does not '
            'exist') in message
    assert f'--cfg-options {key}.data_root=FOLDER' in message
    assert 'python tools/train.py configs/gslora/vit_shapes_forget.py' in (
        message)
    assert refused_at_once(tmp_path)


def imagenet(root, *options):
    """Options that read the images as ImageNet, two splits of a folder."""
    return [
        f'{split}_dataloader.dataset.{option}' for split in ('train', 'val')
        for option in ('type=ImageNet', f'data_root={root}',
                       f'data_prefix={split}', *options)
    ]


def test_imagenet_with_too_few_folders(config, tmp_path):
    config = write_config(
        tmp_path / 'own.py',
        unseen=[],
        requests=[['goldfish, Carassius auratus']])
    message = train(config, tmp_path, 'model.head.num_classes=1000',
                    *imagenet(images_root()))
    assert f'{images_root()}/train has 6 folders, but the model has 1000' in (
        message)
    assert refused_at_once(tmp_path)


def write_lists(root, lines=None):
    """Annotation files of both splits, as ImageNet has them."""
    for split in ('train', 'val'):
        found = [
            f'{path.parent.name}/{path.name} '
            f'{CLASSES.index(path.parent.name)}'
            for path in sorted((root / split).glob('*/*.png'))
        ]
        text = '\n'.join([*found, *(lines or [])])
        (root / f'{split}.txt').write_text(text + '\n')


def with_lists(*options):
    return [
        *(f'{split}_dataloader.dataset.ann_file={split}.txt'
          for split in ('train', 'val')), *listed(), *options
    ]


@pytest.mark.parametrize('line, culprit', [
    ('coral/9.png 2', '1 of 16 images'),
    ('coral/0.png 6', 'has the label 6, but the model has the labels 0 to 5'),
    ('coral/0.png', "must be 'path label'"),
])
def test_bad_line_of_a_list(own, tmp_path, line, culprit):
    write_lists(own.root, [line])
    message = train(own.config, tmp_path, *with_lists())
    assert culprit in message and f'{own.root}/train.txt' in message
    assert refused_at_once(tmp_path)


def test_missing_list(own, tmp_path):
    message = train(own.config, tmp_path, *with_lists())
    assert (f'annotations of train_dataloader.dataset are missing: '
            f'{own.root}/train.txt does not exist') in message


def test_list_without_class_names(own, tmp_path):
    write_lists(own.root)
    message = train(own.config, tmp_path, *with_lists()[:2])
    assert 'the data set names no classes; set train_dataloader.dataset.' in (
        message)


@pytest.mark.parametrize('split', ['train', 'val'])
def test_pipeline_that_does_not_pack(config, tmp_path, split):
    key = f'{split}_dataloader.dataset'
    message = train(config, tmp_path, f'{key}.pipeline=[]')
    assert f'the images of {key} come out of their pipeline' in message
    assert f'end {key}.pipeline with dict(type="PackInputs")' in message
    assert refused_at_once(tmp_path)


def test_gated_ffn(config, tmp_path):
    own = tmp_path / 'own.py'
    own.write_text(config.read_text().replace('feedforward_channels=256',
                                              "ffn_type='swiglu_fused'"))
    path = tmp_path / 'gated.pth'
    torch.save(dict(state_dict=plain_model(own).state_dict()), path)
    message = train(own, tmp_path, f'load_from={path}')
    assert 'backbone.layers.2.ffn is a gated FFN' in message
    assert 'exclude it' in message


@pytest.mark.parametrize('option, culprit, cure', [
    ('forget.requests=[[corl]]', "'corl'", "did you mean 'coral'"),
    ('forget.requests=[[ivory]]', "forgets class 'ivory'", 'unseen'),
    ('forget.unseen=[ivoire]', "'ivoire'", "'ivory'"),
    ('forget.model.aux_loss=True', 'forget.model.aux_loss is unknown',
     'per_sample'),
    ('forget.model.forget_margin=-1', 'forget_margin', 'number >= 0'),
    ('forget.model.retain_margin=-1', 'retain_margin', 'number >= 0'),
    ('forget.model.streams=both', 'streams', "'fused' or 'separate'"),
    ('model.head.type=MultiLabelLinearClsHead', 'MultiLabelLinearClsHead',
     'single-label head'),
    ('model.head.num_clases=3', 'num_clases', 'correct'),
    ('train_dataloader.dataset.type=NoSuchData', "'NoSuchData'",
     'custom_imports'),
    ('val_dataloader.dataset.type=CIFAR10', 'CIFAR10 has no image files',
     'use CustomDataset'),
    ('train_dataloader.dataset.with_label=False', 'with_label is False',
     'remove it'),
    ('train_dataloader.dataset.metainfo=3', 'metainfo', '3'),
    ('train_dataloader.dataset.metainfo.classes=5', 'of a data set is 5',
     'a list of class names'),
    ('train_dataloader.dataset.metainfo.classes=no.txt', "is 'no.txt'",
     'a list of class names or a file'),
    ('model.head=3', 'model.head is 3', 'must be a section'),
    ('train_dataloader.dataset=None', 'train_dataloader.dataset is missing',
     'name the data'),
    ('train_dataloader.dataset.data_prefix=3',
     'train_dataloader.dataset.data_prefix is 3', 'must be a folder'),
    ('val_dataloader.dataset.data_prefix=3',
     'val_dataloader.dataset.data_prefix is 3', 'must be a folder'),
    ('val_dataloader.dataset.data_root=3', 'data_root is 3', 'a path'),
    ('train_dataloader.dataset.ann_file=3', 'ann_file is 3', 'a path'),
    ('train_dataloader.dataset.pipeline=3', 'pipeline is 3', 'a list'),
])
def test_bad_option(config, tmp_path, option, culprit, cure):
    message = train(config, tmp_path, option)
    assert culprit in message and cure in message, message
    assert refused_at_once(tmp_path)
