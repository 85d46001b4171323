"""Training one request and writing what it leaves behind."""
import resource
import time
from pathlib import Path

import torch
from mmengine.dist import barrier, is_main_process

from ..lora import (LoRAGroups, drop_zero_groups, fingerprint, lora_layers,
                    merge_state_dict, save_adapter, split_state_dict,
                    tensor_digests)
from ..utils import ForgetError, atomic_path, write_json
from .checkpoints import save_plain
from .hooks.method_hook import unwrap
from .request_config import training_config
from .runner import RequestRunner

ADAPTER, MERGED = 'adapter.safetensors', 'merged.pth'
GROUPS, TRAINING, METRICS = 'groups.json', 'training.json', 'metrics.json'


def is_trained(folder):
    """Whether a request's training is finished and written."""
    return (Path(folder) / TRAINING).is_file()


def remove_leftovers(work_dir):
    """Remove what killed processes left of a run, other than its results.

    Args:
        work_dir (Path): Folder of the run.
    """
    for path in Path(work_dir).rglob('.*-*'):
        # Half-written files of atomic_path.
        if path.name[1:].partition('-')[0].isdigit() and path.is_file():
            path.unlink()
    for done in Path(work_dir).glob(f'request_*/{TRAINING}'):
        _remove_training_state(done.parent)


def _remove_training_state(folder):
    for path in [*folder.glob('epoch_*.pth'), folder / 'last_checkpoint']:
        path.unlink(missing_ok=True)


def newest_checkpoint(folder):
    """The newest training checkpoint that is whole, or None.

    A kill can leave the newest file half written; the one before it is kept
    until the next is complete.
    """
    found = sorted(
        Path(folder).glob('epoch_*.pth'),
        key=lambda p: int(p.stem.split('_')[1]),
        reverse=True)
    for path in found:
        try:
            torch.load(path, map_location='cpu', weights_only=True)
            return path
        except Exception:  # whatever half a file makes torch raise
            path.unlink()
    return None


def train_request(cfg, settings, request, folder, base, base_print):
    """Train one request and write adapter, merged checkpoint and groups.

    Args:
        cfg (Config): The whole config.
        settings (ForgetSettings): Its forget section.
        request (Request): The request.
        folder (Path): Its folder; training goes on from a checkpoint there.
        base (str): Plain checkpoint the request starts from.
        base_print (str): Fingerprint of the base weights.

    Raises:
        ForgetError: If the loss explodes or the base does not load whole.
    """
    begin = time.time()
    run = training_config(cfg, settings, request, folder, base, base_print)
    resumed = newest_checkpoint(folder)
    if resumed:
        run.load_from, run.resume = str(resumed), True
    runner = RequestRunner.from_cfg(run)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    try:
        runner.train()
    except ValueError as err:
        if 'invalid numeric entries' not in str(err):
            raise
        # The Hungarian assigner meets the NaN before any loss does.
        raise ForgetError(
            f'{request.name}, iteration {runner.iter + 1}: the matching cost '
            f'is not finite, training stopped; the state after epoch '
            f'{runner.epoch} is kept; lower the learning rate or beta, then '
            'start into a new --work-dir') from err
    if is_main_process():
        _write_artefacts(runner, settings, request, folder, base_print, dict(
            seconds=time.time() - begin, resumed=bool(resumed),
            peak_memory_mb=_peak_memory_mb(), iterations=runner.iter,
            epochs=runner.epoch))
    barrier()


def _peak_memory_mb():
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def _write_artefacts(runner, settings, request, folder, base_print, cost):
    """Write the adapter, the merged checkpoint and the group report."""
    model = unwrap(runner.model)
    state = {k: v.detach().cpu() for k, v in model.state_dict().items()}
    base, adapter = split_state_dict(state)
    layers = lora_layers(model)
    scaling = {name: layer.scaling for name, layer in layers.items()}
    merged = merge_state_dict(base, adapter, scaling)
    report = group_report(model.groups, base, merged)
    report['history'] = runner.message_hub.get_info('group_history')
    report['method'] = settings.method_of(request)
    meta = _meta(request, settings, base_print, fingerprint(merged))
    compact = drop_zero_groups(
        adapter, {
            name: model.groups.keys(i)
            for i, name in enumerate(model.groups.names)
        })
    with_lora = dict(
        meta, scaling=scaling,
        rank={n: layer.rank for n, layer in layers.items()},
        group=settings.model['group'],
        zero_groups=[g['name'] for g in report['groups'] if g['zero']])
    with atomic_path(folder / ADAPTER) as partial:
        save_adapter(partial, compact, with_lora)
    report['adapter_bytes'] = (folder / ADAPTER).stat().st_size
    report['adapter_bytes_with_zero_groups'] = sum(
        v.numel() * v.element_size() for v in adapter.values())
    save_plain(folder / MERGED, merged,
               dict(dataset_meta=dict(classes=settings.classes),
                    gslora=meta))
    write_json(folder / GROUPS, report)
    # Written last: from here on the request counts as trained.
    write_json(folder / TRAINING, cost)
    _remove_training_state(folder)


def _meta(request, settings, base_print, merged_print):
    return dict(
        merged=True,
        request=request.index,
        classes=list(request.classes),
        forgotten=[*request.forgotten, *request.classes],
        base_fingerprint=base_print,
        merged_fingerprint=merged_print)


def group_report(groups: LoRAGroups, base, merged):
    """Norms of every group, and what merging did to its weights.

    Args:
        groups (LoRAGroups): Groups of the trained model.
        base (dict[str, Tensor]): Base weights.
        merged (dict[str, Tensor]): Merged weights.

    Returns:
        dict: ``groups``, a list with, for each group, the penalised norm
        ``norm``, the norm of the weight change ``update_norm``, ``zero``
        (all its LoRA tensors exactly zero), ``parameters`` and whether its
        layers' weights are ``bit_identical`` to the base; ``zero_ratio``;
        and ``unchanged_tensors``, how many of all tensors kept every bit.
    """
    before, after = tensor_digests(base), tensor_digests(merged)
    zero = groups.zero_mask().tolist()
    norms = groups.norms().detach().tolist()
    updates = groups.update_norms().detach().tolist()
    rows = []
    for i, name in enumerate(groups.names):
        keys = [f'{layer}.weight' for layer in groups.layers(i)]
        rows.append(
            dict(
                name=name, norm=norms[i], update_norm=updates[i],
                zero=zero[i],
                parameters=sum(p.numel() for p in groups.parameters(i)),
                layers=groups.layers(i),
                bit_identical=all(before[k] == after[k] for k in keys)))
    return dict(
        groups=rows,
        zero_groups=sum(zero),
        zero_ratio=sum(zero) / len(zero),
        unchanged_tensors=sum(before[k] == after[k] for k in before),
        tensors=len(before))
