"""A training step of every method of the comparisons against fine-tuning."""
import dataclasses
import random
import shutil
import statistics
import time
from pathlib import Path

from mmengine.hooks import Hook

from gslora_mm.engine.checkpoints import load_plain_state
from gslora_mm.engine.compare.method_file import read_method
from gslora_mm.engine.method_class import method_flag
from gslora_mm.engine.prototypes import prepare_prototypes
from gslora_mm.engine.request_config import training_config
from gslora_mm.engine.runner import RequestRunner
from gslora_mm.engine.settings import ForgetSettings
from gslora_mm.engine.tasks import task_of
from gslora_mm.lora import fingerprint
from .common import CHECKPOINT, CONFIG, ROOT, row

TASKS = dict(
    ViT=('configs/gslora/vit_shapes_forget.py', 'data/vit_shapes.pth'),
    detector=(CONFIG, CHECKPOINT))
METHODS = ROOT / 'configs/compare/methods'
OTHER = 'fine_tune'
# No method of its own.
LEFT_OUT = ('as_configured', )
BATCHES = 2
REPEATS = 3
# Images of each class: some methods look at all of them once per request.
SHOTS = 16
_TINY = (OTHER, 'gs_lora', 'gs_lora_pp', 'ewc', 'scrub')


def run(setting):
    """Time training as the engine does it, all epochs, few batches each.

    A step is what happens between two batches: copies to the device, forward
    passes (of teachers, too), backward pass, optimizer, what the method does
    afterwards. Loading images and what a method does once per request are
    not in it. Rounds go over all methods, in an order drawn anew; a
    measurement is the mean over the steps after the first epoch.

    Returns:
        list[dict]: A row for each task and method that trains and suits it;
        the other side is fine-tuning of the whole model on what stays.
    """
    rows = []
    for task, (config, checkpoint) in TASKS.items():
        if task == 'detector':
            checkpoint = setting.checkpoint
        ours = dataclasses.replace(
            setting, config_file=config, checkpoint=checkpoint)
        rows += _compare(task, _methods(ours), ours)
    return rows


def _methods(setting):
    """Configs of the methods that train on a task, by their titles."""
    found, base = {}, setting.config()
    for path in sorted(METHODS.glob('*.py')):
        method = read_method(path, base)
        changed = dataclasses.replace(
            setting, options={
                **method.options,
                **setting.options
            })
        cfg = changed.config(
            forget__data__epoch_batches=1 if setting.tiny else BATCHES,
            forget__data__shots=SHOTS)
        about = cfg.forget.method
        suits = task_of(cfg).has_boxes or not method_flag(
            about, 'needs_painting')
        trains = method_flag(about, 'trains')
        if trains and suits and path.stem not in LEFT_OUT:
            found[path.stem] = method.title, cfg
    return found


def _compare(task, methods, setting):
    rounds, order = {}, random.Random(0)
    if setting.tiny:
        methods = {k: methods[k] for k in _TINY}
    for _ in range(1 if setting.tiny else setting.count(REPEATS)):
        for name in order.sample(list(methods), len(methods)):
            folder = Path(setting.folder) / 'steps' / task / name
            rounds.setdefault(name,
                              []).append(_seconds(methods[name][1], folder))
            shutil.rmtree(folder)
    return [
        row(f'{task}, step of {methods[name][0]} / fine-tuning', seconds,
            rounds[OTHER]) for name, seconds in sorted(rounds.items())
    ]


def _seconds(cfg, folder):
    """Mean seconds of a step of the first request."""
    settings = ForgetSettings.from_config(cfg)
    request = settings.requests[0]
    state, _ = load_plain_state(cfg.load_from)
    settings.base_fingerprint = fingerprint(state)
    if settings.prototypes:
        prepare_prototypes(cfg, settings, state, settings.base_fingerprint,
                           folder)
    train = training_config(cfg, settings, request, folder / request.name,
                            cfg.load_from, settings.base_fingerprint)
    train.default_hooks.checkpoint = None
    runner, clock = RequestRunner.from_cfg(train), _Clock()
    runner.register_hook(_Begin(clock), 'HIGHEST')
    runner.register_hook(_End(clock), 'LOWEST')
    runner.train()
    steps = clock.seconds
    return statistics.mean(steps[len(runner.train_dataloader):] or steps)


class _Clock:
    """When the step began, and what the steps took."""

    def __init__(self):
        self.seconds, self.begin = [], None


class _Begin(Hook):
    """Before everything else that happens in a step."""

    def __init__(self, clock):
        self.clock = clock

    def before_train_iter(self, *_, **__):
        self.clock.begin = time.perf_counter()


class _End(Hook):
    """After everything else that happens in a step."""

    def __init__(self, clock):
        self.clock = clock

    def after_train_iter(self, *_, **__):
        self.clock.seconds.append(time.perf_counter() - self.clock.begin)
