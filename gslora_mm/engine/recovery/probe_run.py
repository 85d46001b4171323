"""Probes of one model: what its features and outputs still tell."""
import copy

import numpy as np
import torch
from mmengine.registry import MODELS

from ...lora import fingerprint
from ...models.cpu_deformable_attention import fast_cpu_attention
from ...utils import write_json
from ..checkpoints import load_into
from ..data_config import plain_dataset
from ..request_config import context_config, training_config
from ..request_context import RequestContext
from ..settings import ForgetSettings
from ..tasks import task_of
from .kept import read_kept, weights_of
from .layer_features import layer_features
from .measure import recovery_config
from .probes import (area, output_scores, probe_accuracy, sorted_outputs,
                     tell_apart)

PROBES = 'probes.json'


def measure_probes(cfg, request, target, recovery, folder):
    """Ask a model what it still knows, without changing it; once.

    Linear probes learn from training images and are measured on those of the
    evaluation; how well forgotten classes can be told from others is
    cross-validated on the latter, which no model has learned by heart.

    Args:
        cfg (Config): Config of the setting.
        request (Request): Its last request.
        target (Target): The model.
        recovery (RecoverySettings): The recovery.
        folder (Path): Where the answers are kept.

    Returns:
        dict: ``layers``, a list of ``layer``, ``f`` and ``r``: accuracy of
        the probe on forgotten and on other classes, mean over the classes;
        ``apart``, by name the area under the ROC curve of ``max_logit``,
        ``entropy``, ``energy``, ``outputs`` (all scores, sorted) and
        ``features`` (of the last block).

    Raises:
        ForgetError: If the model cannot be read or probed, or the folder has
            the answers of something else.
    """
    state, weights = weights_of(target)
    about = dict(probes=recovery.probes, seed=target.seed, weights=weights)
    path = folder / PROBES
    known = read_kept(path, about, target)
    if known:
        return known['found']
    known, seen = collect_features(cfg, request, target, recovery, folder,
                                   state)
    forgotten = _labels(cfg, [*request.forgotten, *request.classes])
    found = dict(
        layers=_probe_layers(known, seen, forgotten, target.seed),
        apart=_tell_apart(seen, forgotten, target.seed))
    write_json(path, dict(about=about, found=found))
    return found


def _labels(cfg, names):
    return list(map(task_of(cfg).class_names(cfg).index, names))


def probe_config(cfg, request, target, recovery):
    """Config: Of one request, whose streams have what probes learn from."""
    run = recovery_config(cfg, request, target, dict(mix=1.), recovery)
    images = recovery.probes.get('images')
    run.forget.data = dict(shots=images) if images else {}
    return run


@fast_cpu_attention()
def collect_features(cfg, request, target, recovery, folder, state):
    """What a model makes of training and of evaluation images.

    Args:
        cfg (Config): Config of the setting.
        request (Request): Its last request.
        target (Target): The model.
        recovery (RecoverySettings): The recovery.
        folder (Path): Where logs may go.
        state (dict[str, Tensor]): Weights of the model.

    Returns:
        tuple[LayerFeatures, LayerFeatures]: Of both.
    """
    run = probe_config(cfg, request, target, recovery)
    settings = ForgetSettings.from_config(run)
    (request, ) = settings.requests
    train = training_config(run, settings, request, folder,
                            str(target.checkpoint), fingerprint(state))
    train.train_dataloader.dataset.pop('subset_file')
    model = MODELS.build(train.model)
    load_into(model, state, str(target.checkpoint))
    model.to('cuda' if torch.cuda.is_available() else 'cpu').eval()
    about = context_config(run, settings, request, train)
    return tuple(
        layer_features(model, _batches(RequestContext(model=model, **part)))
        for part in (about, _evaluated(run, settings, about)))


def _evaluated(run, settings, about):
    """The same of all evaluation images."""
    task, about = task_of(run), copy.deepcopy(about)
    inner = plain_dataset(
        task.evaluation_data(run, settings.classes)['dataset'])
    inner['pipeline'] = task.prototype_pipeline(run, settings.classes)
    data = about['images']['dataset']
    data['dataset'] = inner
    data.pop('shots', None)
    return about


def _batches(context):
    for stream in ('forget', 'retain'):
        yield from context.batches(stream)


def _probe_layers(known, seen, forgotten, seed):
    """Accuracy of a probe of each layer."""
    found = []
    # What no probe can know, of classes without training images.
    shown = np.isin(seen.labels, known.labels)
    for layer, features in known.layers.items():
        accuracy = probe_accuracy(features, known.labels,
                                  seen.layers[layer][shown],
                                  seen.labels[shown], seed)
        of = {
            short:
            [v for c, v in accuracy.items() if (c in forgotten) == lost]
            for short, lost in (('f', True), ('r', False))
        }
        found.append(
            dict(
                layer=layer,
                **{
                    short: float(np.mean(values)) if values else None
                    for short, values in of.items()
                }))
    return found


def _tell_apart(seen, forgotten, seed):
    """How well forgotten classes can be told from the others."""
    lost = np.isin(seen.labels, forgotten)
    found = {
        name: area(scores, lost)
        for name, scores in output_scores(seen.logits, seen.sigmoid).items()
    }
    last = list(seen.layers.values())[-1]
    found['outputs'] = tell_apart(
        sorted_outputs(seen.logits, seen.sigmoid), lost, seed)
    found['features'] = tell_apart(last, lost, seed)
    return {k: None if np.isnan(v) else v for k, v in found.items()}
