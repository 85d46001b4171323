"""Model, optimizer and batches of a training step, made by the engine."""
import itertools
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.optim import build_optim_wrapper
from mmengine.runner import set_random_seed

from gslora_mm.engine.checkpoints import load_into, load_plain_state
from gslora_mm.engine.hooks import lora_lr
from gslora_mm.engine.request_config import training_config
from gslora_mm.engine.runner import RequestRunner
from gslora_mm.engine.settings import ForgetSettings
from gslora_mm.lora import fingerprint
from gslora_mm.registry import MODELS
from .common import build_plain, device


@dataclass
class Parts:
    """What a training step needs.

    Args:
        cfg (Config): The whole config.
        model (nn.Module): In training mode.
        optim (OptimWrapper): Over its trainable parameters.
        batches (list[dict]): What the data loader gave.
    """

    cfg: object
    model: torch.nn.Module
    optim: object
    batches: list

    def cycle(self):
        """The batches, again and again."""
        return itertools.cycle(self.batches)


def forgetting_parts(setting, per_stream, num_batches=4):
    """Parts of the first request of the config.

    Args:
        setting (Setting): The run's setting.
        per_stream (int): Forget images of a batch, and retain images.
        num_batches (int): Batches to load.

    Returns:
        Parts: The wrapped model and batches of both streams.
    """
    cfg = setting.config(
        train_dataloader__batch_size=2 * per_stream,
        forget__data__forget_per_batch=per_stream,
        forget__data__epoch_batches=num_batches)
    settings = ForgetSettings.from_config(cfg)
    request = settings.requests[0]
    state, _ = load_plain_state(cfg.load_from)
    run = training_config(
        cfg, settings, request,
        Path(setting.folder) / 'parts' / Path(setting.config_file).stem /
        request.name, cfg.load_from, fingerprint(state))
    set_random_seed(0)
    batches = list(RequestRunner.build_dataloader(run.train_dataloader))
    model = MODELS.build(run.model)
    model.init_weights()
    load_into(model, state, cfg.load_from)
    if model.teacher is not None:
        # As TeacherHook does; a random one finds objects everywhere.
        load_into(model.teacher, state, cfg.load_from)
    model = model.to(device()).train()
    # Past the epochs without sparsity: a step is the dearest that it can be.
    model.method.start_epoch(10**6, model.groups)
    return Parts(cfg, model, build_optim_wrapper(model, run.optim_wrapper),
                 batches)


def full_parts(setting, batches):
    """Parts of full fine-tuning: the plain detector, everything trainable.

    Args:
        setting (Setting): The run's setting.
        batches (list[dict]): The batches of the other side.

    Returns:
        Parts: The plain model with AdamW as configured, at a learning rate
        that full fine-tuning survives.
    """
    cfg = setting.config(optim_wrapper__optimizer__lr=1e-5)
    state, _ = load_plain_state(cfg.load_from)
    model = build_plain(cfg, state).train()
    return Parts(cfg, model, build_optim_wrapper(model, cfg.optim_wrapper),
                 batches)


def forgetting_step(parts, streams='fused'):
    """A function that makes one forgetting step, the proximal one included.

    Args:
        parts (Parts): Of :func:`forgetting_parts`.
        streams (str): ``'fused'`` or ``'separate'`` forwards.

    Returns:
        Callable: Takes and returns nothing.
    """
    model, optim, batches = parts.model, parts.optim, parts.cycle()
    groups = model.groups

    def step():
        model.streams = streams
        model.train_step(next(batches), optim)
        lr = lora_lr(optim, groups) if len(groups) else None
        model.method.after_step(groups, lr)

    return step


def plain_step(parts):
    """A function that makes one step with mmdet's own loss."""
    model, optim, batches = parts.model, parts.optim, parts.cycle()
    return lambda: model.train_step(next(batches), optim)
