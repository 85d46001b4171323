"""GS-LoRA++ beside GS-LoRA: one config each, by name."""
import pytest
from classifier_configs import CONFIGS, FOLDERS, HUNDRED, load, write_folders

from gslora_mm.datasets import published_class100_order
from gslora_mm.engine.settings import ForgetSettings

NAMES = sorted(f'gslora/{path.stem}'
               for path in (CONFIGS / 'gslora').glob('*.py')
               if '_counterfactual' not in path.stem)
PLUS = [name for name in NAMES if name.endswith('_pp')]
PUBLISHED = ('facevit', 'vit-b_in100', 'ddetr_coco')
# beta, w_f, BND_pro, alpha, sparsity_start of the authors' scripts.
VALUES = {
    'facevit_casia100_forget_pp': ([.2, .25, .25, .2], .01, 18., 1e-4, 0),
    'facevit_casia100_forget_4shot_pp':
    ([.3, .4, .28, .2], [.015, .06, .025, .012], 50., 1e-4, 0),
    'facevit_casia100_forget_missing_pp': ([.14, .14, .2,
                                            .15], .0003, 18., .015, 30),
    'facevit_casia100_forget_5_pp': (.05, .005, 18., .01, 20),
    'facevit_casia100_forget_10_2shot_pp': (.15, .5, 18., .01, 20),
    'vit-b_in100_forget_pp': ([.2, .25, .25, .25], .05, 18., 1e-4, 0),
    'ddetr_coco_forget_few-shot_pp': ([.15, .15, .35, .6, .15, .2,
                                       .2], .005, 18., 3e-4, 0)
}
# Epoch from which the authors' scripts average the weights.
EMA = {
    'facevit_casia100_forget_pp': 30,
    'facevit_casia100_forget_4shot_pp': 30,
    'vit-b_in100_forget_pp': 30,
    'facevit_casia100_forget_5_pp': 50,
    'facevit_casia100_forget_10_pp': 50,
    'facevit_casia100_forget_10_2shot_pp': 50,
    'facevit_casia100_forget_50_pp': 50,
    'facevit_casia100_forget_90_pp': 50
}


@pytest.fixture(scope='module')
def root_of(tmp_path_factory):
    """Folder of images for a config; None where it needs none."""
    made = {}

    def find(name):
        classes = FOLDERS.get(name)
        if classes and len(classes) not in made:
            made[len(classes)] = write_folders(
                tmp_path_factory.mktemp('images'), classes)
        return made.get(len(classes)) if classes else None

    return find


def settings_of(name, root):
    return ForgetSettings.from_config(load(name, root))


def test_every_config_has_its_twin():
    assert {f'{name}_pp' for name in NAMES if name not in PLUS} == set(PLUS)


@pytest.mark.parametrize('name', PLUS)
def test_twins_differ_in_the_method_alone(name, root_of):
    """But for what the authors' scripts have with prototypes only."""
    root = root_of(name)
    plus = settings_of(name, root)
    plain = settings_of(name.removesuffix('_pp'), root)
    assert plus.method.pop('type') == 'GSLoRAPlusPlus'
    assert plain.method.pop('type') == 'GSLoRA'
    assert plus.prototypes and not plain.prototypes
    plus.prototypes = {}
    average = plus.ema
    plus.ema = plain.ema
    own = [key for key in plus.method if key.startswith('prototype_')]
    weights = {key: plus.method.pop(key) for key in own}
    assert {'prototype_forget', 'prototype_retain'} <= set(weights)
    if 'forget_5_' in name or name.endswith(('_10_pp', '_50_pp', '_90_pp')):
        assert (plus.method.pop('beta'), plain.method.pop('beta')) == (.05,
                                                                       .15)
    assert plus == plain
    # The published scripts have no retain half, ours has.
    faithful = any(p in name for p in PUBLISHED) and 'proximal' not in name
    assert (weights['prototype_retain'] == 0) == faithful
    start = EMA.get(name.removeprefix('gslora/'))
    expected = dict(start=start, decay=.9, by='epoch') if start else {}
    assert average == [expected] * len(plus.requests)
    assert not any(plain.ema)


@pytest.mark.parametrize('name', VALUES)
def test_published_values(name):
    method = load(f'gslora/{name}').forget.method
    assert (method.beta, method.prototype_forget, method.prototype_bound,
            method.alpha, method.sparsity_start) == VALUES[name]
    assert (method.prototype_retain, method.mode) == (0, 'subgradient')
    assert 'distance' not in method


@pytest.mark.parametrize('name, shots', [
    ('facevit_casia100_forget_4shot', 4),
    ('facevit_casia100_forget_10_2shot', 2),
    ('ddetr_coco_forget_few-shot', 32),
    ('vit_shapes_forget_4shot', 4),
    ('vit_faces_forget_4shot', 4),
    ('ddetr_shapes_forget_4shot', 4),
])
def test_shots(name, shots):
    cfg = load(f'gslora/{name}')
    assert cfg.forget.data.shots == shots
    assert cfg.forget.data.get('shots_per_class', True)
    if 'casia' in name:
        # As in the script: batches of four of either stream.
        assert cfg.train_dataloader.batch_size == 8
        assert cfg.forget.data.forget_per_batch == 4


@pytest.mark.parametrize('name, missing', [
    ('facevit_casia100', [HUNDRED[i] for i in (83, 17, 10, 9, 89)]),
    ('ddetr_coco', ['mouse', 'potted plant', 'bed', 'airplane', 'oven']),
    ('ddetr_shapes', ['semicircle', 'pentagon']),
    ('vit_shapes', ['semicircle', 'pentagon']),
    ('vit_faces', [f'yaleB{i:02d}' for i in (34, 16, 33, 9, 5)]),
])
def test_missing_classes(name, missing, root_of):
    root = root_of(f'gslora/{name}_forget_missing')
    settings = settings_of(f'gslora/{name}_forget_missing', root)
    assert list(settings.unseen) == missing
    plain = settings_of(f'gslora/{name}_forget', root)
    # The same requests, and the missing classes stay in all of them.
    assert settings.requests == plain.requests
    for request in settings.requests:
        assert set(missing) < set(request.retain)
        assert settings.seen(request.retain)


def test_missing_people_are_the_first_of_the_order():
    order = published_class100_order()
    assert order[:5] == [83, 17, 10, 9, 89]
