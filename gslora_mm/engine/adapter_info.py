"""What an adapter says of itself, in its file and in the JSON beside it."""
import sys

import mmengine
import torch

from ..lora import lora_layers
from ..version import __version__

SIDECAR = 'adapter.json'
FORMAT = 'gslora_mm adapter, 1'
_NOTE = ('The adapter can be undone: the base still holds the classes, and '
         'so do base and adapter together. Taken off the merged weights it '
         'gives the base back. Ship the release (tools/export.py) and keep '
         'base and adapter in the house.')
_LIBRARIES = ('mmdet', 'mmpretrain')


def adapter_info(model, rows, meta, settings, request):
    """Describe an adapter.

    Args:
        model (ForgettingMixin): The trained model.
        rows (list[dict]): Its groups, see
            :func:`~gslora_mm.engine.artefacts.group_report`.
        meta (dict): Meta of the merged checkpoint.
        settings (ForgetSettings): The forget section of the config.
        request (Request): The request.

    Returns:
        dict: What JSON can hold: ``request``, ``classes`` and all classes
        ``forgotten`` so far; ``base_fingerprint`` (the weights it belongs
        to), ``original_fingerprint`` (those the first request started from)
        and ``merged_fingerprint``; ``scaling`` and ``rank`` by layer;
        ``group`` and ``groups``, with their layers, and the names of the
        ``zero_groups``, which are not in the file; ``method`` with its
        arguments, ``config_digest`` and ``versions``.
    """
    layers = lora_layers(model)
    about = {k: v for k, v in meta.items() if k != 'merged'}
    return dict(
        format=FORMAT,
        reversible=True,
        note=_NOTE,
        **about,
        original_fingerprint=settings.base_fingerprint,
        scaling={n: x.scaling for n, x in layers.items()},
        rank={n: x.rank for n, x in layers.items()},
        group=model.groups.by,
        groups=[{k: row[k] for k in ('name', 'layers', 'zero')}
                for row in rows],
        zero_groups=[row['name'] for row in rows if row['zero']],
        method=settings.method_of(request),
        config_digest=settings.config_digest,
        versions=versions(model))  # yapf: disable


def versions(model):
    """Versions of what made a model.

    Args:
        model (nn.Module): Any model.

    Returns:
        dict[str, str]: Of this package, torch, mmengine and the library or
        libraries that the model's classes come from.
    """
    origins = {kind.__module__.split('.')[0] for kind in type(model).__mro__}
    found = dict(
        gslora_mm=__version__,
        torch=str(torch.__version__),
        mmengine=mmengine.__version__)
    for name in _LIBRARIES:
        if name in origins:
            found[name] = sys.modules[name].__version__
    return found
