"""mmpretrain's classifiers, made so small that a CPU runs them in no time."""
import copy
from functools import lru_cache
from types import SimpleNamespace

import torch
from mmpretrain.registry import MODELS as MMPRETRAIN_MODELS
from mmpretrain.structures import DataSample

from gslora_mm.lora import reset_lora
from gslora_mm.registry import MODELS

NUM_CLASSES = 7
SIZE = 32
WIDTH = 24
STREAMS = ('retain', 'forget', 'retain', 'forget', 'retain', 'forget')

_ARCH = dict(
    embed_dims=WIDTH, num_layers=3, num_heads=3, feedforward_channels=40)
_SMOOTH = dict(type='LabelSmoothLoss', label_smooth_val=0.1)
_LINEAR = dict(
    type='LinearClsHead', num_classes=NUM_CLASSES, in_channels=WIDTH)


def _vit(kind='VisionTransformer', **changes):
    backbone = dict(type=kind, arch=dict(_ARCH), img_size=SIZE, patch_size=8)
    return {**backbone, **changes}


def _swin(kind, **arch):
    return dict(
        type=kind,
        arch=dict(
            embed_dims=WIDTH // 2, depths=[2, 2], num_heads=[2, 4], **arch),
        img_size=SIZE,
        patch_size=4,
        window_size=4,
        out_indices=(1, ),
        drop_path_rate=0.2)


def _head(kind='VisionTransformerClsHead', **changes):
    return {**_LINEAR, 'type': kind, **changes}


_BACKBONES = dict(
    vit=_vit(drop_rate=0.1),
    # As DINOv2 and CLIP: layer scale, norm before the blocks; average pool.
    vit_avg=_vit(
        pre_norm=True,
        out_type='avg_featmap',
        with_cls_token=False,
        drop_path_rate=0.3,
        layer_cfgs=dict(layer_scale_init_value=0.1)),
    deit=_vit(arch='deit-tiny', patch_size=16),
    deit3=_vit('DeiT3'),
    deit_distilled=_vit('DistilledVisionTransformer'),
    swin=_swin('SwinTransformer'),
    swin_v2=_swin('SwinTransformerV2', extra_norm_every_n_blocks=0),
    beit=_vit('BEiTViT', out_type='avg_featmap', drop_path_rate=0.1),
    arcface=_vit(),
    # As the published face models.
    cosface=_vit(drop_rate=0.1, qkv_bias=False))
_HEADS = dict(
    # As ViT-B is pre-trained.
    vit=_head(hidden_dim=20, loss=dict(_SMOOTH, mode='classy_vision')),
    deit=_head(in_channels=192, loss=dict(_SMOOTH, mode='original')),
    deit3=_head(),
    deit_distilled=_head('DeiTClsHead', loss=dict(_SMOOTH)),
    arcface=_head('ArcFaceClsHead', scale=32.),
    cosface=_head('gslora_mm.CosFaceClsHead', s=64.))
VARIANTS = tuple(_BACKBONES)


def classifier_cfg(variant):
    """Config of a tiny plain classifier."""
    pooled = 'swin' in variant
    return dict(
        type='ImageClassifier',
        backbone=copy.deepcopy(_BACKBONES[variant]),
        neck=dict(type='GlobalAveragePooling') if pooled else None,
        head=copy.deepcopy(_HEADS.get(variant, _LINEAR)),
        data_preprocessor=dict(mean=[120.] * 3, std=[60.] * 3, to_rgb=True))


def blocks_of(variant):
    """Names of its Transformer blocks."""
    if 'swin' in variant:
        return [f'backbone.stages.{i // 2}.blocks.{i % 2}' for i in range(4)]
    count = 12 if variant == 'deit' else _ARCH['num_layers']
    return [f'backbone.layers.{i}' for i in range(count)]


def plain_classifier(variant):
    """Plain mmpretrain model in which every parameter says something."""
    torch.manual_seed(0)
    cfg = dict(classifier_cfg(variant), _scope_='mmpretrain')
    model = MMPRETRAIN_MODELS.build(cfg).eval()
    model.init_weights()
    with torch.no_grad():
        for param in model.parameters():
            param.add_(torch.randn_like(param) * WIDTH**-0.5)
    return model


def forgetting_cfg(variant, **options):
    """Config of the same classifier, made to forget."""
    cfg = dict(
        type='gslora_mm.ForgettingClassifier',
        classifier=classifier_cfg(variant),
        method=dict(type='GSLoRA'),
        lora=dict(rank=4))
    cfg.update(options)
    return cfg


def build_forgetting(variant, **options):
    torch.manual_seed(1)
    return MODELS.build(forgetting_cfg(variant, **options))


@lru_cache(maxsize=None)
def _built(variant):
    # Frozen, as in use: with several threads torch multiplies by weights that
    # want no gradient in another kernel, whose last bit differs.
    plain = plain_classifier(variant).requires_grad_(False)
    wrapped = build_forgetting(variant)
    state = {k: v.clone() for k, v in plain.state_dict().items()}
    return SimpleNamespace(
        name=variant,
        plain=plain,
        wrapped=wrapped,
        state=state,
        method=wrapped.method)


def make_pair(variant):
    """Plain and wrapped model in their initial state, built once."""
    pair = _built(variant)
    load(pair.plain, pair.state)
    load(pair.wrapped, pair.state)
    model = pair.wrapped
    reset_lora(model)
    model.streams, model.per_sample, model.dropout = 'fused', False, False
    model.forget_margin, model.retain_margin = 0., 0.
    model.forgotten = []
    model.method = pair.method
    model.zero_grad()
    model.eval()
    return pair


def load(model, state):
    """Load base weights; all of them must find their place."""
    missing, unexpected = model.load_state_dict(state, strict=False)
    # Swin V2 computes its tables anew and drops those of a checkpoint.
    assert not unexpected and all(
        key.endswith(('lora_A', 'lora_B', 'relative_position_index',
                      'relative_coords_table')) for key in missing)


def randomise_lora(model, seed=2):
    """Away from the start, where LoRA changes nothing."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, param in model.named_parameters():
            if name.endswith('lora_B'):
                param.copy_(
                    torch.randn(param.shape, generator=generator) * 0.1)


def images(count, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, SIZE, SIZE, generator=generator)


def batch(streams=STREAMS):
    """Images and their samples; a stream None is not marked."""
    generator = torch.Generator().manual_seed(4)
    labels = torch.randint(NUM_CLASSES, (len(streams), ), generator=generator)
    samples = [
        DataSample(metainfo=dict(
            stream=stream) if stream else {}).set_gt_label(label)
        for stream, label in zip(streams, labels)
    ]
    return images(len(streams)), samples


def of_stream(inputs, samples, stream):
    """The part of a batch that belongs to one stream."""
    index = [
        i for i, s in enumerate(samples) if s.metainfo['stream'] == stream
    ]
    return inputs[index], [samples[i] for i in index]


@torch.no_grad()
def logits(model, inputs):
    """Scores of all classes before the softmax, without margin."""
    return model(inputs, mode='tensor')
