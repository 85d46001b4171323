"""What models predict for the same images, and how far they are apart."""
import contextlib
import io

import torch
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS, MODELS

from ..engine.checkpoints import load_into
from ..engine.runner import quiet_console
from ..lora import is_lora_key
from ..models.cpu_deformable_attention import fast_cpu_attention
from ..utils import ForgetError


class Batch:
    """Some images of the evaluation, evenly spread, and models to see them.

    Args:
        cfg (Config): The whole config.
        settings (ForgetSettings): Its forget section.
        task (Task): Its task.
        count (int): How many images.

    Raises:
        ForgetError: If the images are gone or cannot be read.
    """

    def __init__(self, cfg, settings, task, count):
        self.cfg, self.settings, self.task = cfg, settings, task
        task.check_data(cfg, settings.classes, settings.unseen)
        loader = task.evaluation_data(cfg, settings.classes)
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools
            dataset = DATASETS.build(loader['dataset'])
        step = max(1, len(dataset) // count)
        places = range(0, len(dataset), step)[:count]
        self.batch = pseudo_collate([dataset[i] for i in places])
        self.images = len(places)

    def plain(self, state, source):
        """Predictions of the plain model with some weights."""
        model = MODELS.build(self.task.plain_model(self.cfg))
        load_into(model, state, source)
        return self._see(model)

    def wrapped(self, base, adapters, request):
        """Predictions of the model that forgets, nothing merged.

        Args:
            base (dict[str, Tensor]): The weights below all adapters.
            adapters (list[tuple]): Tensors and metadata of each, in order.
            request (Request): The last one.

        Returns:
            list[dict]: See :meth:`plain`.
        """
        weights, rank, scaling = stack(adapters)
        quiet_console(MMLogger.get_instance('release'))
        config = self.task.wrapped_model(self.cfg, self.settings, request)
        config['lora'] = dict(
            config.get('lora') or {}, rank=rank, alpha=rank * scaling)
        model = MODELS.build(config)
        state = model.state_dict()
        unknown = [key for key in weights if key not in state]
        if unknown:
            raise ForgetError(f'the model of the config has no {unknown[0]}, '
                              'which an adapter holds; name the config of '
                              'the run with --config FILE')
        for key, value in state.items():
            if is_lora_key(key):
                value = weights.get(key)
                base = dict(
                    base, **{
                        key:
                        torch.zeros_like(state[key])
                        if value is None else value
                    })
        model.load_state_dict(base, strict=False)
        return self._see(model)

    @torch.no_grad()
    @fast_cpu_attention()
    def _see(self, model):
        return [_numbers(s) for s in model.eval().test_step(self.batch)]


def stack(adapters):
    """One adapter that changes the weights as several one on another do.

    Args:
        adapters (list[tuple[dict, dict]]): Tensors and metadata of each, in
            order.

    Returns:
        tuple[dict[str, Tensor], int, float]: ``lora_A`` of shape (R, in) and
        ``lora_B`` of shape (out, R) of every layer that is in one of them,
        R, the sum of their ranks (layers with less have zeros), and the
        scaling.
    """
    layers, scaling = {}, None
    for tensors, about in adapters:
        for key in tensors:
            name, _, which = key.rpartition('.')
            twin = f'{name}.lora_A'
            if which == 'lora_B' and twin in tensors:
                own = about['scaling']
                own = own[name] if isinstance(own, dict) else own
                scaling = own if scaling is None else scaling
                layers.setdefault(name, []).append(
                    (tensors[twin], tensors[key] * (own / scaling)))
    ranks = {n: sum(len(a) for a, _ in pairs) for n, pairs in layers.items()}
    rank, stacked = max(ranks.values(), default=1), {}
    for name, pairs in layers.items():
        rest = rank - ranks[name]
        first, second = pairs[0]
        stacked[f'{name}.lora_A'] = torch.cat(
            [a for a, _ in pairs] + [first.new_zeros(rest, first.shape[1])])
        stacked[f'{name}.lora_B'] = torch.cat(
            [b for _, b in pairs] + [second.new_zeros(len(second), rest)], 1)
    return stacked, rank, 1. if scaling is None else scaling


def _numbers(sample):
    """The prediction for an image, as tensors."""
    if 'pred_instances' in sample:
        found = sample.pred_instances
        return dict(
            boxes=found.bboxes.cpu(),
            scores=found.scores.cpu(),
            labels=found.labels.cpu())
    return dict(scores=sample.pred_score.cpu())


def same_predictions(one, two):
    """bool: Whether two models predict the same, to the bit."""
    return len(one) == len(two) and all(
        a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
        for a, b in zip(one, two))


def largest_gaps(one, two):
    """How far the predictions of two models are apart.

    Detections are paired across the models, each with the nearest of the
    same label: where scores are all but equal their order is no difference.
    Those at the very end of a list, which another may have pushed out of the
    other's, need no partner.

    Args:
        one (list[dict[str, Tensor]]): Predictions, image by image.
        two (list[dict[str, Tensor]]): Of the same images.

    Returns:
        dict[str, float]: The largest difference of ``scores``, and of
        ``boxes`` in pixels where there are any; infinite without a partner.
    """
    gaps = dict(scores=0.)
    for a, b in zip(one, two):
        pairs = [_paired(a, b), _paired(b, a)] if 'boxes' in a else [
            dict(scores=_largest((a['scores'] - b['scores']).abs()))
        ]
        for found in pairs:
            for key, gap in found.items():
                gaps[key] = max(gaps.get(key, 0.), gap)
    return gaps


_CERTAIN = 1e-3


def _paired(a, b):
    """Gaps of the detections ``a`` to their nearest in ``b``."""
    if not len(a['scores']):
        return dict(scores=0., boxes=0.)
    if not len(b['scores']):
        return dict(scores=float('inf'), boxes=float('inf'))
    chosen = a['scores'] > b['scores'].min() + _CERTAIN
    scores = (a['scores'][chosen, None] - b['scores']).abs()
    boxes = (a['boxes'][chosen, None] - b['boxes']).abs().amax(-1)
    # Pixels count less than scores: a query has one box and many labels.
    apart = scores + boxes / 100
    apart[a['labels'][chosen, None] != b['labels']] = float('inf')
    best = apart.argmin(1, keepdim=True)
    lost = apart.gather(1, best).isinf()
    return {
        key: _largest(gap.gather(1, best).masked_fill(lost, float('inf')))
        for key, gap in (('scores', scores), ('boxes', boxes))
    }


def _largest(values):
    return float(values.max()) if values.numel() else 0.
