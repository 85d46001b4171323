"""Prototypes of the original model, computed once per run."""
import json
from pathlib import Path

import torch
from mmengine.dataset import pseudo_collate
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.registry import MODELS
from rich import get_console
from rich.progress import track
from torch.utils.data import DataLoader

from ..methods import DISTANCES, Prototypes, load_prototypes
from ..models.cpu_deformable_attention import fast_cpu_attention
from ..utils import ForgetError
from .checkpoints import load_into
from .prototype_images import PrototypeImages
from .prototype_settings import PROTOTYPES
from .request_config import request_seed, training_config

# Embeddings whose logits are in memory at a time.
_AT_ONCE = 4096
_WHAT = dict(
    base_fingerprint='another base model',
    images='other training images',
    options='another forget.prototypes')


def prepare_prototypes(cfg, settings, state, base_print, work_dir):
    """Compute the prototypes of a run, or check those that are there.

    Called by every process; the main one alone computes.

    Args:
        cfg (Config): The whole config.
        settings (ForgetSettings): Its forget section.
        state (dict[str, Tensor]): Weights of the original model.
        base_print (str): Their fingerprint.
        work_dir (Path): Folder of the run.

    Raises:
        ForgetError: If the prototypes there are of another model, of other
            images or made in another way, or the model has no embedding.
    """
    path, options = Path(work_dir) / PROTOTYPES, settings.prototypes
    request = settings.requests[0]
    run = training_config(cfg, settings, request,
                          Path(work_dir) / request.name, '', '')
    # Processes agree on the subset when it is drawn.
    images = None
    if options['source'] == 'mean':
        images = PrototypeImages(cfg, settings, run.train_dataloader.dataset,
                                 request_seed(cfg, request))
    about = dict(
        base_fingerprint=base_print,
        images=images.digest() if images else None,
        options=json.loads(json.dumps(options, default=str)))
    outcome = [None]
    if is_main_process():
        # An error is sent as well: the others would wait for ever.
        try:
            if path.is_file():
                check_prototypes(path, about)
            else:
                model = _original_model(run.model, state, cfg.load_from)
                loader = _loader(cfg, images) if images else None
                compute_prototypes(model, len(settings.classes),
                                   loader).save(path, about)
        except ForgetError as err:
            outcome[0] = err
    broadcast_object_list(outcome)
    if outcome[0] is not None:
        raise outcome[0]


def check_prototypes(path, about):
    """Check that a file holds the prototypes of this very run.

    Args:
        path (Path): The file.
        about (dict): What they must be made from.

    Raises:
        ForgetError: If they are not.
    """
    _, found = load_prototypes(path)
    for key, what in _WHAT.items():
        if found.get(key) != about[key]:
            raise ForgetError(
                f'the prototypes {path} belong to {what}; restore what the '
                'run was started with, or choose another --work-dir')


def _original_model(config, state, source):
    """The model before any request: its LoRA is zero."""
    model = MODELS.build(config)
    load_into(model, state, source)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    return model.to(device).eval()


def _loader(cfg, images):
    val = cfg.val_dataloader
    return DataLoader(
        images,
        batch_size=val.get('batch_size', 1),
        num_workers=val.get('num_workers', 0),
        collate_fn=pseudo_collate)


@fast_cpu_attention()
@torch.no_grad()
def compute_prototypes(model, num_classes, loader=None):
    """Class means of embeddings, or the rows of the last layer.

    Args:
        model (ForgettingMixin): The original model, in inference mode.
        num_classes (int): C.
        loader (Iterable, optional): Batches of labelled images. Without, the
            prototype of a class is its row of the last layer.

    Returns:
        Prototypes: CPU tensors of single precision.

    Raises:
        ForgetError: If the head has no such rows, or no embedding.
    """
    if loader is None:
        mean = model.class_rows().float()
        counts = mean.new_ones(num_classes)
        spreads = mean.new_zeros(num_classes, len(DISTANCES))
    else:
        mean, counts, spreads = _class_means(model, num_classes, loader)
    logits = model.classify(mean)
    return Prototypes(*(v.float().cpu()
                        for v in (mean, logits, counts, spreads)))


def _class_means(model, num_classes, loader):
    """Mean embeddings (C, D), their number (C, ) and spreads (C, 3)."""
    embeddings, labels = _embeddings(model, loader)
    counts = labels.bincount(minlength=num_classes).double()
    mean = _by_class(embeddings, labels, counts)
    device = next(model.parameters()).device
    prototypes = dict(
        embeddings=mean, logits=model.classify(mean.to(device)).cpu())
    # In parts: on ImageNet the logits of all are larger than what they say.
    far = torch.cat([
        _distances(model, part, prototypes, where, device)
        for part, where in zip(
            embeddings.split(_AT_ONCE), labels.split(_AT_ONCE))
    ])
    return mean.to(device), counts, _by_class(far, labels, counts)


def _embeddings(model, loader):
    """All embeddings (N, D) and labels (N, ), on the CPU."""
    found = []
    # A bar that is no terminal would leave an empty line.
    batches = track(
        loader,
        'prototypes',
        transient=True,
        disable=not get_console().is_terminal)
    for batch in batches:
        batch = model.data_preprocessor(batch, False)
        some = model.features(batch['inputs'], batch['data_samples'])
        found.append((some.embeddings.float().cpu(), some.labels.cpu()))
    return (torch.cat(values) for values in zip(*found))


def _by_class(values, labels, counts):
    """Means (C, K) of values (N, K); zeros for a class without any."""
    total = torch.zeros(len(counts), values.shape[1], dtype=torch.double)
    total.index_add_(0, labels, values.double())
    return (total / counts.clamp(min=1)[:, None]).float()


def _distances(model, embeddings, prototypes, labels, device):
    """By each of ``DISTANCES``, shape (N, 3)."""
    found = dict(
        embeddings=embeddings,
        logits=model.classify(embeddings.to(device)).cpu())
    return torch.stack([
        d.measure(found[d.looks_at].float(),
                  prototypes[d.looks_at][labels].float())
        for d in DISTANCES.values()
    ], 1)
