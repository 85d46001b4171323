"""Inference with LoRA, and merged, against the plain model."""
import itertools
from pathlib import Path

import torch

from gslora_mm.engine.checkpoints import load_plain_state
from gslora_mm.engine.request_config import evaluation_config
from gslora_mm.engine.runner import RequestRunner
from gslora_mm.engine.settings import ForgetSettings
from gslora_mm.lora import lora_layers, merge_state_dict, split_state_dict
from .common import build_plain, interleave, paired_ratio, row
from .training_parts import forgetting_parts

BOUND = (0.97, 1.03)
BATCH, BATCHES, REPEATS = 8, 4, 60


def run(setting):
    """Time ``test_step`` on batches of validation images.

    LoRA holds random weights in every block, none of them zero. ``merged``
    is the plain detector with the merged weights, as ``merged.pth`` gives
    it; ``max_difference`` compares its scores and boxes (pixels) to those of
    the wrapped model.

    Returns:
        list[dict]: Merged (with the bound) and wrapped, against plain.
    """
    models = _models(setting)
    batches = _batches(setting, 1 if setting.tiny else BATCHES)
    difference = _difference(models['merged'], models['wrapped'], batches[0])
    wall, cpu = interleave(
        {
            k: _inference(m, batches)
            for k, m in models.items()
        },
        setting.count(REPEATS),
        warmup=4)
    return [
        row(f'inference, {BATCH} images: {name} / plain',
            wall[name],
            wall['plain'],
            bound=bound,
            cpu_ratio=paired_ratio(cpu[name], cpu['plain']),
            max_difference=difference)
        for name, bound in (('merged', BOUND), ('wrapped', None))
    ]


def _models(setting):
    wrapped = forgetting_parts(setting, 1, 1).model
    layers = lora_layers(wrapped)
    for layer in layers.values():
        torch.nn.init.normal_(layer.lora_B, std=0.01)
    state = {k: v.cpu() for k, v in wrapped.state_dict().items()}
    merged = merge_state_dict(*split_state_dict(state), {
        name: layer.scaling
        for name, layer in layers.items()
    })
    cfg = setting.config()
    base, _ = load_plain_state(cfg.load_from)
    models = dict(
        plain=build_plain(cfg, base),
        merged=build_plain(cfg, merged),
        wrapped=wrapped)
    return {k: m.eval() for k, m in models.items()}


def _batches(setting, count):
    cfg = setting.config(val_dataloader__batch_size=BATCH)
    settings = ForgetSettings.from_config(cfg)
    run_cfg = evaluation_config(cfg, settings, settings.requests[:1],
                                Path(setting.folder) / 'inference', '')
    loader = RequestRunner.build_dataloader(run_cfg.test_dataloader)
    return list(itertools.islice(loader, count))


def _inference(model, batches):
    cycle = itertools.cycle(batches)

    @torch.no_grad()
    def infer():
        model.test_step(next(cycle))

    return infer


@torch.no_grad()
def _difference(first, second, batch):
    """Largest difference of the sorted scores, and of the boxes if their
    order is the same."""
    worst = 0.
    pairs = zip(first.test_step(batch), second.test_step(batch))
    for a, b in pairs:
        a, b = a.pred_instances.clone(), b.pred_instances.clone()
        worst = max(worst, float((a.scores - b.scores).abs().max()))
        if torch.equal(a.labels, b.labels):
            worst = max(worst, float((a.bboxes - b.bboxes).abs().max()))
    return worst
