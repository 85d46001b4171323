"""What a trained request leaves behind."""
from ..lora import (LoRAGroups, drop_zero_groups, fingerprint, lora_layers,
                    merge_state_dict, save_adapter, split_state_dict,
                    tensor_digests)
from ..utils import atomic_path, write_json
from .checkpoints import save_plain
from .hooks.method_hook import unwrap

ADAPTER, MERGED = 'adapter.safetensors', 'merged.pth'
GROUPS, TRAINING, METRICS = 'groups.json', 'training.json', 'metrics.json'


def write_artefacts(runner, settings, request, folder, base_print, cost):
    """Write the adapter, the merged checkpoint and the group report.

    Args:
        runner (Runner): The finished training.
        settings (ForgetSettings): The forget section of the config.
        request (Request): The request.
        folder (Path): Its folder.
        base_print (str): Fingerprint of the base weights.
        cost (dict): What the training took; written last, to
            ``training.json``, which marks the request as trained.
    """
    model = unwrap(runner.model)
    state = {k: v.detach().cpu() for k, v in model.state_dict().items()}
    base, adapter = split_state_dict(state)
    layers = lora_layers(model)
    scaling = {name: layer.scaling for name, layer in layers.items()}
    merged = merge_state_dict(base, adapter, scaling)
    report = group_report(model.groups, base, merged)
    report['history'] = runner.message_hub.get_info('group_history')
    report['method'] = settings.method_of(request)
    report['ema'] = settings.ema_of(request) or None
    meta = _meta(request, settings, base_print, fingerprint(merged))
    compact = drop_zero_groups(adapter, {
        name: model.groups.keys(i)
        for i, name in enumerate(model.groups.names)
    })
    with_lora = dict(
        meta,
        scaling=scaling,
        rank={
            n: layer.rank
            for n, layer in layers.items()
        },
        group=settings.model['group'],
        zero_groups=[g['name'] for g in report['groups'] if g['zero']])
    with atomic_path(folder / ADAPTER) as partial:
        save_adapter(partial, compact, with_lora)
    report['adapter_bytes'] = (folder / ADAPTER).stat().st_size
    report['adapter_bytes_with_zero_groups'] = sum(
        v.numel() * v.element_size() for v in adapter.values())
    save_plain(folder / MERGED, merged,
               dict(dataset_meta=dict(classes=settings.classes), gslora=meta))
    write_json(folder / GROUPS, report)
    # Written last: from here on the request counts as trained.
    write_json(folder / TRAINING, cost)


def _meta(request, settings, base_print, merged_print):
    meta = dict(
        merged=True,
        request=request.index,
        classes=list(request.classes),
        forgotten=[*request.forgotten, *request.classes],
        base_fingerprint=base_print,
        merged_fingerprint=merged_print)
    ema = settings.ema_of(request)
    return dict(meta, ema=ema) if ema else meta


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
                name=name,
                norm=norms[i],
                update_norm=updates[i],
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
