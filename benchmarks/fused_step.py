"""One forward for both streams against one forward each."""
import time

from gslora_mm.engine.hooks import lora_lr
from gslora_mm.models import STREAMS, DetrForgettingMixin
from .common import interleave, paired_ratio, row
from .training_parts import forgetting_parts, forgetting_step

BOUND = (None, 0.85)
PUBLISHED = 4
REPEATS = {1: 16, 2: 16, 4: 40, 8: 12}
RUNS = 3


def run(setting):
    """Time training steps: forward, backward, optimizer, proximal step.

    Both sides train the same model with the same optimizer on the same
    batches, and their losses are the same (``loss_difference``): ours is
    ``streams='fused'``, the other ``streams='separate'``, which differs in
    nothing but the number of forwards. The last row is information: two
    calls of mmdet's own ``loss()``, as a user of plain mmdet would write the
    step; they supervise every decoder layer, so they also do more.

    Most rows time the dearest steps, in which every group is trained. The
    row with the bound times all steps of a request as the config trains it:
    what is zero after an epoch is not computed in the next.

    Returns:
        list[dict]: All steps of a request at the published batch, 4 + 4
        images per device (with the bound); then a row for each batch.
    """
    sizes = (1, ) if setting.tiny else (PUBLISHED, 1, 2, 8)
    rows = [_whole_request(setting, sizes[0])]
    for size in sizes:
        rows += _compare(setting, size, size == sizes[0])
    return rows


def _whole_request(setting, size):
    """Both sides train a request of their own, step by step in turns."""
    totals = dict(fused=[], separate=[])
    for _ in range(1 if setting.tiny else setting.count(RUNS)):
        sides = {s: _Request(setting, size, s) for s in totals}
        cfg = sides['fused'].parts.cfg
        epochs = 1 if setting.tiny else cfg.train_cfg.max_epochs
        for epoch in range(epochs):
            for side in sides.values():
                side.start_epoch(epoch)
            for i in range(len(sides['fused'].parts.batches)):
                # Neither is always the one that finds the caches warm.
                for name in sorted(sides, reverse=i % 2):
                    sides[name].step()
        for name, side in sides.items():
            totals[name].append(side.seconds)
    live = sides['fused'].parts.model.groups
    return row(
        f'all steps of a request, {size}+{size} images: fused / two forwards',
        totals['fused'],
        totals['separate'],
        bound=BOUND,
        zero_groups_at_the_end=int(live.zero_mask().sum()))


class _Request:
    """The training of the first request, timed."""

    def __init__(self, setting, size, streams):
        batches = 2 if setting.tiny else setting.config(
        ).forget.data.epoch_batches
        self.parts = forgetting_parts(setting, size, batches)
        self.run = forgetting_step(self.parts, streams)
        self.seconds = 0.

    def start_epoch(self, epoch):
        """Tell the method, as the engine does."""
        model = self.parts.model
        model.method.start_epoch(epoch, model.groups)

    def step(self):
        """One step."""
        begin = time.perf_counter()
        self.run()
        self.seconds += time.perf_counter() - begin


def _compare(setting, size, headline):
    parts = forgetting_parts(setting, size)
    difference = _loss_difference(parts)
    variants = dict(
        fused=forgetting_step(parts, 'fused'),
        separate=forgetting_step(parts, 'separate'))
    if headline:
        variants['two_losses'] = _two_losses_step(parts)
    wall, cpu = interleave(variants, setting.count(REPEATS[size]))
    name = f'{size}+{size} images'
    rows = [
        row(f'training step, {name}: fused / two forwards',
            wall['fused'],
            wall['separate'],
            cpu_ratio=paired_ratio(cpu['fused'], cpu['separate']),
            loss_difference=difference)
    ]
    if headline:
        rows.append(
            row(f'training step, {name}: fused / two mmdet loss() calls',
                wall['fused'],
                wall['two_losses'],
                cpu_ratio=paired_ratio(cpu['fused'], cpu['two_losses'])))
    return rows


def _loss_difference(parts):
    """Largest relative difference of a loss term between the two ways."""
    model, terms = parts.model, {}
    for streams in ('fused', 'separate'):
        model.streams = streams
        data = model.data_preprocessor(parts.batches[0], True)
        terms[streams] = {
            k: float(v.detach())
            for k, v in model(**data, mode='loss').items()
        }
    return max(
        abs(value - terms['separate'][key]) / max(1e-8, abs(value))
        for key, value in terms['fused'].items() if 'loss' in key)


def _two_losses_step(parts):
    model, optim, batches = parts.model, parts.optim, parts.cycle()

    def step():
        with optim.optim_context(model):
            data = model.data_preprocessor(next(batches), True)
            total = sum(_mmdet_loss(model, data, s) for s in STREAMS)
        optim.update_params(total)
        model.method.after_step(model.groups, lora_lr(optim, model.groups))

    return step


def _mmdet_loss(model, data, stream):
    samples = data['data_samples']
    chosen = [i for i, s in enumerate(samples) if s.stream == stream]
    # The detector's own loss, which the wrapper overrides.
    losses = super(DetrForgettingMixin,
                   model).loss(data['inputs'][chosen],
                               [samples[i] for i in chosen])
    return model.parse_losses(losses)[0]
