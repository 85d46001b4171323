"""Products of matrices on a CPU: oneDNN's against torch's own choice."""
import dataclasses
from contextlib import contextmanager

import torch

from gslora_mm.utils.cpu_matmul import use_onednn_matmul
from .common import interleave, paired_ratio, row
from .training_parts import forgetting_parts, forgetting_step

BOUND = (None, 1.0)
REPEATS = 20
CLASSIFIER = dict(
    config_file='configs/gslora/vit_shapes_forget.py',
    checkpoint='data/vit_shapes.pth',
    options={})


def run(setting):
    """Time a training step of the demo's detector, and of its classifier.

    Both sides differ in nothing but who multiplies; see
    :func:`gslora_mm.utils.cpu_matmul.use_onednn_matmul`.

    Returns:
        list[dict]: A row for each, with a bound; nothing where the tools
        leave the products to torch.
    """
    if not use_onednn_matmul():
        return []
    rows, other = [], dataclasses.replace(
        setting, folder=f'{setting.folder}/classifier', **CLASSIFIER)
    for name, used, size in (('detector', setting, 4), ('classifier', other,
                                                        16)):
        size = 1 if setting.tiny else size
        step = forgetting_step(forgetting_parts(used, size, 2))
        wall, cpu = interleave(
            dict(onednn=step, torch=_with_torch(step)), setting.count(REPEATS))
        rows.append(
            row(
                f'training step of the {name}, {size}+{size} images: '
                "oneDNN's products / torch's",
                wall['onednn'],
                wall['torch'],
                bound=BOUND,
                cpu_ratio=paired_ratio(cpu['onednn'], cpu['torch'])))
    return rows


def _with_torch(step):
    """The step as torch computes it by itself."""

    def run_step():
        with _torch_products():
            step()

    return run_step


@contextmanager
def _torch_products():
    setting, flash = torch.backends.mkldnn.matmul, torch.backends.cuda
    before = setting.fp32_precision, flash.flash_sdp_enabled()
    setting.fp32_precision = 'ieee'
    flash.enable_flash_sdp(True)
    try:
        yield
    finally:
        setting.fp32_precision = before[0]
        flash.enable_flash_sdp(before[1])
