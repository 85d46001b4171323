import random

import pytest
import torch
from classifier_configs import (CIFAR, CONFIGS, FOLDERS, FORGET, HUNDRED,
                                PEOPLE, load, write_folders)
from mmengine.registry import DATASETS, MODELS

from gslora_mm.engine.settings import ForgetSettings
from gslora_mm.engine.tasks import task_of
from gslora_mm.utils import ForgetError

BOUNDS = {'vit_shapes': 24., 'vit_faces': 46., 'vit_cifar10': 24.}
# One of each model: the others inherit it.
MODELS_OF = [
    'pretrain/facevit_casia100', 'pretrain/vit_cifar10', 'pretrain/vit_faces',
    'pretrain/vit_shapes', 'gslora/vit-b_in100_forget'
]


@pytest.fixture(scope='session')
def roots(tmp_path_factory):
    """Folder of images for every list of classes."""
    made = {}

    def root_of(classes):
        if classes is None:
            return None
        key = len(classes)
        if key not in made:
            made[key] = write_folders(
                tmp_path_factory.mktemp(f'images{key}'), classes)
        return made[key]

    return root_of


def published_rule(names, sizes):
    """Tail of the list that Python's generator shuffles from seed 1337."""
    order = list(range(len(names)))
    random.Random(1337).shuffle(order)
    requests = []
    for size in sizes:
        requests.append([names[i] for i in order[-size:]])
        del order[-size:]
    return requests


def requests_of(settings):
    return [list(r.classes) for r in settings.requests]


def test_every_classifier_config_is_tested_here():
    found = {
        f'{folder}/{path.stem}'
        for folder in ('gslora', 'pretrain')
        for path in (CONFIGS / folder).glob('*.py')
        if 'head' in load(f'{folder}/{path.stem}').model
    }
    assert found == set(FOLDERS)


@pytest.mark.parametrize('name', FORGET)
def test_forget_section_is_accepted(name, roots):
    cfg = load(name, roots(FOLDERS[name]))
    settings = ForgetSettings.from_config(cfg)
    assert len(settings.classes) == cfg.model.head.num_classes
    assert cfg.load_from
    lists = [v for v in cfg.forget.method.values() if isinstance(v, list)]
    assert all(len(v) == len(settings.requests) for v in lists)
    if FOLDERS[name]:
        task_of(cfg).check_data(cfg, settings.classes)


@pytest.mark.parametrize('name', MODELS_OF)
def test_model_builds_and_fits_its_pipeline(name, roots):
    cfg = load(name, roots(FOLDERS[name]))
    model = MODELS.build(task_of(cfg).plain_model(cfg)).eval()
    if FOLDERS[name]:
        sample = DATASETS.build(cfg.val_dataloader.dataset)[3]
        assert int(sample['data_samples'].gt_label) == 3
        image = sample['inputs'][None]
    else:
        size = cfg.model.backbone.img_size
        image = torch.zeros(1, 3, size, size)
    with torch.no_grad():
        data = model.data_preprocessor(dict(inputs=image), False)
        logits = model(data['inputs'], mode='tensor')
    assert logits.shape == (1, cfg.model.head.num_classes)


@pytest.mark.parametrize('name', BOUNDS)
def test_small_model_forgets(name, roots):
    cfg = load(f'gslora/{name}_forget', roots(FOLDERS[f'pretrain/{name}']))
    settings = ForgetSettings.from_config(cfg)
    config = task_of(cfg).wrapped_model(cfg, settings, settings.requests[0])
    model = MODELS.build(config)
    layers = cfg.model.backbone.arch['num_layers']
    assert len(model.groups) == layers
    assert model.method.bound == pytest.approx(BOUNDS[name])
    assert model.method.mode == 'proximal'
    assert cfg.optim_wrapper.optimizer.weight_decay == 0


@pytest.mark.parametrize('name', BOUNDS)
def test_deep_recipe_is_the_other_without_lora(name, roots):
    root = roots(FOLDERS[f'pretrain/{name}'])
    deep, other = (
        load(f'gslora/{name}_counterfactual{kind}', root)
        for kind in ('_deep', ''))
    settings = ForgetSettings.from_config(deep)
    model = MODELS.build(
        task_of(deep).wrapped_model(deep, settings, settings.requests[0]))
    assert not len(model.groups) and model.method.anew == .075
    plain = MODELS.build(task_of(deep).plain_model(deep))
    assert [v.numel() for v in model.parameters()
            if v.requires_grad] == [v.numel() for v in plain.parameters()]
    assert deep.forget.method == {
        **other.forget.method, 'anew': .075,
        'blocks': deep.model.backbone.arch['num_layers'],
        'retain': 5.
    }
    for key in ('train_cfg', 'optim_wrapper', 'param_scheduler'):
        assert deep[key] == other[key]


def test_wrapper_is_told_all_that_went():
    cfg = load('gslora/vit_shapes_forget')
    settings, gone = ForgetSettings.from_config(cfg), []
    for request in settings.requests:
        gone += request.classes
        config = task_of(cfg).wrapped_model(cfg, settings, request)
        assert [settings.classes[i] for i in config['forgotten']] == sorted(
            gone, key=settings.classes.index)


@pytest.mark.parametrize('name, classes, sizes',
                         [('vit_faces', PEOPLE, (8, 8, 8)),
                          ('vit_cifar10', CIFAR, (2, 2, 2))])
def test_requests_by_the_published_rule(name, classes, sizes, roots):
    cfg = load(f'gslora/{name}_forget', roots(classes))
    settings = ForgetSettings.from_config(cfg)
    assert requests_of(settings) == published_rule(classes, sizes)


def test_requests_of_all_of_imagenet():
    settings = ForgetSettings.from_config(load('gslora/vit-b_in1k_forget'))
    assert len(set(settings.classes)) == 1000
    assert requests_of(settings) == published_rule(settings.classes, [20] * 4)


def test_imagenet_100_inside_of_1000():
    names = ForgetSettings.from_config(
        load('gslora/vit-b_in1k_forget')).classes
    mine = names[5:1000:10]
    cfg = load('gslora/vit-b_in1k_forget')
    cfg.forget.requests = 'class100-4x20'
    cfg.forget.unseen = [name for name in names if name not in mine]
    settings = ForgetSettings.from_config(cfg)
    assert requests_of(settings) == published_rule(mine, [20] * 4)
    request = settings.requests[0]
    assert len(request.retain) == 980
    assert settings.seen(
        request.retain) == [n for n in mine if n not in request.classes]


def test_imagenet_in_folders_and_lists(tmp_path):
    # The usual layout: training images in folders, validation images in one.
    ids = [f'n{place:08d}' for place in range(1000)]
    for place, name in enumerate(ids):
        (tmp_path / 'train' / name).mkdir(parents=True)
        if place % 2:
            (tmp_path / 'train' / name / '0.JPEG').touch()
    for folder in ('val', 'meta'):
        (tmp_path / folder).mkdir()
    for place in range(1000):
        (tmp_path / 'val' / f'{place}.JPEG').touch()
    lines = [f'{place}.JPEG {place}' for place in range(1000)]
    (tmp_path / 'meta' / 'val.txt').write_text('\n'.join(lines))
    cfg = load('gslora/vit-b_in1k_forget', tmp_path)
    task = task_of(cfg)
    names = task.class_names(cfg)
    task.check_data(cfg, names, unseen=names[::2])
    with pytest.raises(ForgetError, match='500 of 1000 classes have no image'):
        task.check_data(cfg, names)


@pytest.mark.parametrize('size', [5, 10, 50, 90])
def test_single_step_children(size, roots):
    cfg = load(f'gslora/facevit_casia100_forget_{size}', roots(HUNDRED))
    settings = ForgetSettings.from_config(cfg)
    assert requests_of(settings) == published_rule(HUNDRED, [size])


@pytest.mark.parametrize('name', ['vit_faces', 'vit_cifar10'])
@pytest.mark.parametrize('folder, suffix', [('pretrain', ''),
                                            ('gslora', '_forget')])
def test_data_root_of_the_environment(monkeypatch, name, folder, suffix):
    monkeypatch.setenv('DATA_ROOT', '/somewhere/else/')
    cfg = load(f'{folder}/{name}{suffix}')
    for loader in (cfg.train_dataloader, cfg.val_dataloader,
                   cfg.test_dataloader):
        assert loader.dataset.data_root == '/somewhere/else/'
