"""What is wrong in ``forget.prototypes`` is said before anything runs."""
import pytest
import tiny_classifier
import tiny_run
import torch
from mmdet.datasets.transforms import LoadAnnotations
from mmengine.registry import MODELS, TRANSFORMS
from torchvision.transforms import RandAugment

from gslora_mm.engine import ForgettingSequence, read_config
from gslora_mm.engine.request_config import training_config
from gslora_mm.engine.settings import ForgetSettings
from gslora_mm.engine.tasks import task_of
from gslora_mm.utils import ForgetError

CLASSIFIER, DETECTOR = tiny_classifier, tiny_run
METHOD = {
    'forget.method.type': 'GSLoRAPlusPlus',
    'forget.method.prototype_forget': .5
}


def config_of(module, folder, **options):
    return read_config(str(module.write_config(folder / 'own.py')), options)


def copies(count, *augment):
    options = {'forget.prototypes.copies': count}
    if augment:
        options['forget.prototypes.augment'] = list(augment)
    return options


@pytest.mark.parametrize('module, options, message', [
    (CLASSIFIER, {
        'forget.prototypes.source': 'median'
    }, "source is 'median'; it must be one of mean, weight"),
    (CLASSIFIER, copies(-1), 'copies is -1; it must be a whole number >= 0'),
    (CLASSIFIER, copies(1.5), 'copies is 1.5; it must be a whole number'),
    (CLASSIFIER, copies(1, 'RandAugment'), 'must be a list of transforms'),
    (CLASSIFIER, {
        'forget.prototypes.augment': [dict(type='Invert')]
    }, 'no effect without copies'),
    (CLASSIFIER, {
        **copies(2), 'forget.prototypes.source': 'weight'
    }, "set forget.prototypes.source='mean'"),
    (CLASSIFIER, {
        'forget.method.prototype_slack': 2.,
        'forget.prototypes.source': 'weight'
    }, 'forget.method.prototype_slack is for the means of images'),
    (CLASSIFIER, {
        'forget.prototypes.sources': 'mean'
    }, 'forget.prototypes.sources is unknown'),
    (CLASSIFIER, {
        'forget.prototypes': 3
    }, 'forget.prototypes is 3; it must be a section'),
    (CLASSIFIER, {
        'forget.method.type': 'GSLoRA'
    }, 'prototype_forget'),
    (CLASSIFIER, {
        'forget.method.prototypes': 'mine'
    }, 'forget.method.prototypes is a file that'),
    (CLASSIFIER, {
        'forget.method.prototype_forget': -1
    }, 'prototype_forget of GSLoRAPlusPlus must be a number >= 0'),
    (CLASSIFIER, {
        'forget.method.distance': 'l2'
    }, 'must be one of kl, logits, cosine'),
    (CLASSIFIER, {
        'forget.method.prototype_retain': [.1]
    }, 'prototype_retain lists 1 values for 2 requests'),
    (DETECTOR, {
        'forget.prototypes.source': 'mean',
        **copies(2)
    }, 'forget.prototypes.augment is missing'),
])
def test_bad_settings(tmp_path, module, options, message):
    cfg = config_of(module, tmp_path, **{**METHOD, **options})
    with pytest.raises(ForgetError, match=message) as caught:
        ForgettingSequence(cfg, tmp_path / 'run')
    assert '\n' not in str(caught.value)
    assert not (tmp_path / 'run').exists()


def test_head_without_class_rows(tmp_path):
    """ArcFace with several centres for each class."""
    options = {'forget.prototypes.source': 'weight'}
    cfg = config_of(CLASSIFIER, tmp_path, **{**METHOD, **options})
    cfg.model.head = dict(
        type='ArcFaceClsHead', num_classes=6, in_channels=32, num_subcenters=2)
    state = torch.load(cfg.load_from, weights_only=True)['state_dict']
    rows = state.pop('head.fc.weight')
    del state['head.fc.bias']
    state['head.norm_product.weight'] = rows.repeat(2, 1)
    cfg.load_from = str(tmp_path / 'base.pth')
    torch.save(dict(state_dict=state), cfg.load_from)
    with pytest.raises(ForgetError, match="ArcFaceClsHead has 0; use source"):
        ForgettingSequence(cfg, tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('source', ['mean', 'weight'])
def test_head_with_two_embeddings(tmp_path, source):
    """A distilled DeiT is refused before anything is measured."""
    cfg = config_of(CLASSIFIER, tmp_path, **METHOD)
    cfg.forget.prototypes = dict(source=source)
    cfg.model.backbone.type = 'DistilledVisionTransformer'
    cfg.model.head = dict(type='DeiTClsHead', num_classes=6, in_channels=32)
    model = MODELS.build(dict(cfg.model, train_cfg=None, _scope_='mmpretrain'))
    cfg.load_from = str(tmp_path / 'base.pth')
    torch.save(dict(state_dict=model.state_dict()), cfg.load_from)
    message = dict(mean='gives more than one embedding', weight='has 2')
    with pytest.raises(
            ForgetError, match=f'DeiTClsHead {message[source]}') as caught:
        ForgettingSequence(cfg, tmp_path / 'run')
    assert '\n' not in str(caught.value)
    assert not (tmp_path / 'run').exists()
    # Without prototypes it does.
    cfg.forget.method = dict(type='GSLoRA')
    del cfg.forget['prototypes']
    ForgettingSequence(cfg, tmp_path / 'run')


def test_boxes_are_loaded_before_the_image_changes(tmp_path):
    """Even if a transform is named by its class."""
    cfg = config_of(DETECTOR, tmp_path, **METHOD)
    task, classes = task_of(cfg), ForgetSettings.from_config(cfg).classes
    pipeline = cfg.val_dataloader.dataset.pipeline
    for name in ('mmdet.LoadAnnotations', LoadAnnotations):
        pipeline[2].type = name
        steps = task.prototype_pipeline(cfg, classes)
        assert [step['type'] for step in steps] == [
            'LoadImageFromFile', 'mmdet.LoadAnnotations', 'Resize',
            'PackDetInputs'
        ]


def test_prototypes_without_a_method_that_uses_them(tmp_path):
    cfg = config_of(CLASSIFIER, tmp_path)
    assert ForgetSettings.from_config(cfg).prototypes == {}
    cfg.forget.prototypes = dict(source='mean')
    with pytest.raises(ForgetError, match='the method GSLoRA uses none'):
        ForgetSettings.from_config(cfg)


def test_one_request_may_use_another_method(tmp_path):
    cfg = config_of(CLASSIFIER, tmp_path)
    cfg.forget.requests[1] = dict(
        classes=['jade'], type='GSLoRAPlusPlus', prototype_forget=.1)
    settings = ForgetSettings.from_config(cfg)
    assert settings.prototypes == dict(source='mean', copies=0, augment=None)
    for request, wanted in zip(settings.requests, (False, True)):
        run = training_config(cfg, settings, request, tmp_path / request.name,
                              '', '')
        assert ('prototypes' in run.model.method) == wanted


def test_defaults_of_a_task(tmp_path):
    cfg = config_of(DETECTOR, tmp_path, **METHOD)
    assert ForgetSettings.from_config(cfg).prototypes['source'] == 'weight'
    cfg = config_of(CLASSIFIER, tmp_path, **METHOD, **copies(2))
    step, = ForgetSettings.from_config(cfg).prototypes['augment']
    assert (step['type'], step['num_policies']) == ('mmpretrain.RandAugment',
                                                    2)
    # As far as torchvision turns at the level of the authors' script.
    turn, = (
        t for t in TRANSFORMS.build(step).transforms
        if type(t).__name__ == 'Rotate')
    expected = RandAugment()._augmentation_space(31, (32, 32))['Rotate'][0][5]
    assert turn.random_magnitude() == pytest.approx(float(expected))
