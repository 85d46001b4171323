"""mmdet's own DETR configs, made so small that a CPU runs them in no time."""
import torch
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures import DetDataSample
from mmengine.hub import get_config
from mmengine.structures import InstanceData

from gslora_mm.registry import MODELS

NUM_CLASSES = 5
SIZE = 64
BLOCKS = 4

_DDETR = 'deformable_detr/deformable-detr_r50_16xb2-50e_coco.py'
# Some of mmdet's position encodings work at width 256 only.
VARIANTS = dict(
    detr=('detr/detr_r50_8xb2-150e_coco.py', 32, {}),
    ddetr=(_DDETR, 32, {}),
    ddetr_refine=(_DDETR, 32, dict(with_box_refine=True)),
    ddetr_two_stage=(_DDETR, 256,
                     dict(with_box_refine=True, as_two_stage=True)),
    conditional=('conditional_detr/conditional-detr_r50_8xb2-50e_coco.py', 256,
                 {}),
    dab=('dab_detr/dab-detr_r50_8xb2-50e_coco.py', 32, {}),
    dino=('dino/dino-4scale_r50_8xb2-12e_coco.py', 256, {}))


def detector_cfg(variant):
    """Config of a tiny plain detector; nothing is downloaded."""
    path, width, changes = VARIANTS[variant]
    cfg = get_config(f'mmdet::{path}').model.to_dict()
    cfg.update(changes)
    small = dict(
        embed_dims=width,
        num_feats=width // 2,
        feedforward_channels=48,
        num_layers=2,
        out_channels=width,
        num_groups=4,
        num_queries=10,
        num_classes=NUM_CLASSES,
        num_dn_queries=10,
        max_per_img=10,
        depth=18,
        in_channels=[16, 32, 64][-len(cfg['neck']['in_channels']):])
    _shrink(cfg, small)
    # mmdet's backbone holds its statistics still; the wrapper must do so too.
    cfg['backbone'].update(
        base_channels=8, init_cfg=None, norm_eval=False, frozen_stages=-1)
    cfg['bbox_head']['embed_dims'] = width
    return cfg


def _shrink(cfg, small):
    for key, value in cfg.items():
        if isinstance(value, dict):
            _shrink(value, small)
        elif key in small and value is not None:
            cfg[key] = small[key]


def plain_detector(variant):
    """Plain mmdet model in which every parameter says something."""
    torch.manual_seed(0)
    cfg = dict(detector_cfg(variant), _scope_='mmdet')
    model = MMDET_MODELS.build(cfg).eval()
    model.init_weights()
    noise = 0.5 * VARIANTS[variant][1]**-0.5
    with torch.no_grad():
        for param in model.parameters():
            param.add_(torch.randn_like(param) * noise)
        for name, buffer in model.named_buffers():
            if name.endswith('running_var'):
                buffer.uniform_(0.5, 1.5)
            elif name.endswith('running_mean'):
                buffer.normal_(0, 0.1)
    return model


def forgetting_cfg(variant, **options):
    """Config of the same detector, made to forget."""
    cfg = dict(
        type='gslora_mm.ForgettingDetector',
        detector=detector_cfg(variant),
        method=dict(type='GSLoRA'),
        lora=dict(rank=4))
    cfg.update(options)
    return cfg


def build_forgetting(variant, **options):
    torch.manual_seed(1)
    return MODELS.build(forgetting_cfg(variant, **options))


def randomise_lora(model, seed=2):
    """Away from the start, where LoRA changes nothing."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, param in model.named_parameters():
            if name.endswith('lora_B'):
                param.copy_(
                    torch.randn(param.shape, generator=generator) * 0.1)


def sample(stream, boxes, seed, img_shape=(SIZE, SIZE)):
    """A training sample with random boxes; stream None is not marked."""
    generator = torch.Generator().manual_seed(seed)
    height, width = img_shape
    corner = torch.rand(boxes, 2, generator=generator) * 0.5
    extent = torch.rand(boxes, 2, generator=generator) * 0.4 + 0.1
    xyxy = torch.cat([corner, corner + extent], 1)
    xyxy = xyxy * torch.tensor([width, height, width, height])
    labels = torch.randint(NUM_CLASSES, (boxes, ), generator=generator)
    meta = dict(
        img_shape=img_shape,
        ori_shape=img_shape,
        batch_input_shape=(SIZE, SIZE),
        scale_factor=(1., 1.))
    if stream:
        meta['stream'] = stream
    return DetDataSample(
        metainfo=meta, gt_instances=InstanceData(bboxes=xyxy, labels=labels))


def images(count):
    return torch.randn(
        count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(3))


def batch():
    """Images of several shapes, streams mixed, one retain image empty."""
    samples = [
        sample('retain', 2, 10),
        sample('forget', 3, 11, (48, 64)),
        sample('retain', 1, 12, (64, 40)),
        sample('forget', 1, 13),
        sample('retain', 0, 14, (56, 56))
    ]
    return images(len(samples)), samples


def of_stream(inputs, samples, stream):
    """The part of a batch that belongs to one stream."""
    index = [
        i for i, s in enumerate(samples) if s.metainfo['stream'] == stream
    ]
    return inputs[index], [samples[i] for i in index]


def detections(model, inputs, samples):
    """Predicted instances of every image, on copies of the samples."""
    with torch.no_grad():
        results = model.predict(inputs, [s.clone() for s in samples])
    return [r.pred_instances for r in results]
