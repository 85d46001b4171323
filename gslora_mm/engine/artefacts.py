"""What a trained request leaves behind."""
from ..lora import (LoRAGroups, drop_zero_groups, fingerprint, lora_layers,
                    merge_state_dict, save_adapter, split_state_dict,
                    tensor_digests)
from ..models.extras import extra_part, is_extra_key, plain_part
from ..utils import atomic_path, write_json
from .adapter_info import SIDECAR, adapter_info
from .checkpoints import save_plain
from .prepared_file import KEPT, save_prepared, stored_bytes

ADAPTER, MERGED = 'adapter.safetensors', 'merged.pth'
GROUPS, TRAINING, METRICS = 'groups.json', 'training.json', 'metrics.json'


def write_artefacts(model, base, settings, request, folder, base_print, cost,
                    history, state=None):  # yapf: disable
    """Write the adapter, the merged checkpoint and the group report.

    The adapter describes itself twice, in its own metadata and, the same, in
    ``adapter.json`` beside it.

    Without LoRA there is no adapter, and the report has no group.

    Args:
        model (ForgettingMixin): The trained model.
        base (dict[str, Tensor]): The weights the request started from.
        settings (ForgetSettings): The forget section of the config.
        request (Request): The request.
        folder (Path): Its folder.
        base_print (str): Fingerprint of the base weights.
        cost (dict): What the training took; written last, to
            ``training.json``, which marks the request as trained. How much
            trained, and how many bytes the method stores, is added.
        history (list): Group norms after each epoch.
        state (dict[str, Tensor], optional): The result, where it is not in
            the model.
    """
    if state is None:
        state = {k: v.detach().cpu() for k, v in model.state_dict().items()}
    adapter = split_state_dict(state)[1]
    scaling = {name: x.scaling for name, x in lora_layers(model).items()}
    merged = (
        merge_state_dict(plain_part(state), adapter, scaling)
        if adapter else plain_part(state))
    report = group_report(model.groups, base, merged)
    report['train'] = settings.model['train'] if model.method.trains else None
    report['trained_tensors'] = [] if adapter else _trained(
        model, base, merged)
    report['history'] = history
    report['method'] = settings.method_of(request)
    report['ema'] = settings.ema_of(request) or None
    meta = _meta(request, settings, base_print, fingerprint(merged))
    report['adapter_bytes'] = report['adapter_bytes_with_zero_groups'] = None
    if adapter:
        about = adapter_info(model, report['groups'], meta, settings, request)
        report.update(_write_adapter(model, adapter, about, folder))
    save_plain(folder / MERGED, merged,
               dict(dataset_meta=dict(classes=settings.classes), gslora=meta))
    write_json(folder / GROUPS, report)
    if model.method.keeps_modules:
        save_prepared(folder, extra_part(state), base_print, KEPT)
    trained, total = model.parameter_counts
    # Written last: from here on the request counts as trained.
    write_json(
        folder / TRAINING,
        dict(
            cost,
            trained_parameters=trained,
            total_parameters=total,
            stored_bytes=stored_bytes(folder)))


def _trained(model, base, merged):
    """Names of the tensors that may differ from the base."""
    if model.method.trains:
        return [k for k in model.trained_keys() if not is_extra_key(k)]
    before, after = tensor_digests(base), tensor_digests(merged)
    return [key for key in after if before[key] != after[key]]


def _write_adapter(model, adapter, about, folder):
    """Write the adapter and what it says of itself; returns its sizes."""
    compact = drop_zero_groups(adapter, {
        name: model.groups.keys(i)
        for i, name in enumerate(model.groups.names)
    })
    path = folder / ADAPTER
    with atomic_path(path) as partial:
        save_adapter(partial, compact, about)
    write_json(folder / SIDECAR, about)
    return dict(
        adapter_bytes=path.stat().st_size,
        adapter_bytes_with_zero_groups=sum(v.numel() * v.element_size()
                                           for v in adapter.values()))


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
        layers' weights are ``bit_identical`` to the base; ``zero_ratio``,
        None without groups; and ``unchanged_tensors``, how many of all
        tensors kept every bit.
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
        zero_ratio=sum(zero) / len(zero) if zero else None,
        unchanged_tensors=sum(before[k] == after[k] for k in before),
        tensors=len(before))
