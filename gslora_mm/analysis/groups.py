"""What every request did to every group, proved from the files on disk.

From ``groups.json`` come only what forms a group, how many parameters it has
and its norms during training. Final norms and zeros come from the adapter,
weight changes and digests from the base and the merged checkpoint, and what
``groups.json`` says of them is checked.
"""
import math

import torch

from ..lora import fingerprint, tensor_digests
from .group_checks import (fingerprint_failures, group_failures,
                           outside_failures)


def analyze_groups(work_dir, base=None):
    """Analyse every finished request of a run.

    Args:
        work_dir (str | Path): Folder of the run.
        base (str, optional): Checkpoint of the original model, if it no
            longer lies where the config of the run says.

    Returns:
        dict: ``base`` (its path), ``requests`` (:func:`analyze_request`, one
        per finished request), ``skipped`` (notes on the others) and ``ok``,
        whether every check of every request holds.

    Raises:
        ForgetError: If no request is finished, or a file is missing,
            damaged, or not the base of the run.
    """
    # Here, as it imports the whole engine, which imports this package.
    from .run_folder import finished_requests, load_base, load_request
    finished, notes = finished_requests(work_dir)
    source, state, base_print = load_base(work_dir, base)
    original = digests = tensor_digests(state)
    rows, before = [], source
    for index, folder in finished:
        files = load_request(index, folder)
        merged_print = fingerprint(files.merged)
        after = tensor_digests(files.merged)
        row = analyze_request(files, state, digests, after, original)
        row['failures'] += fingerprint_failures(files, base_print,
                                                merged_print)
        row['base_checkpoint'], row['merged_checkpoint'] = before, files.path
        rows.append(row)
        state, digests, before = files.merged, after, files.path
        base_print = merged_print
    return dict(
        base=source,
        requests=rows,
        skipped=notes,
        ok=not any(row['failures'] for row in rows))


def analyze_request(files, base, before, after, original):
    """Analyse one request.

    Args:
        files (RequestFiles): What it left behind.
        base (dict[str, Tensor]): Weights it started from.
        before (dict[str, str]): Their digests.
        after (dict[str, str]): Digests of the merged weights.
        original (dict[str, str]): Digests of the original model.

    Returns:
        dict: ``groups``, a list with, for each group, the penalised ``norm``
        (of the adapter's tensors), ``update_norm`` (Frobenius norm of the
        change of its layers' weights), ``zero``, ``bit_identical`` (its
        layers' weights have the digests of the base) with these ``weights``,
        and ``same_as_original`` (the whole block has the digests of the
        original model); ``zero_ratio``, the share of zero groups (paper,
        part 'zero group ratio'); sizes of the adapter in bytes;
        ``changed_outside``, names of tensors that changed and are neither a
        LoRA layer's weight nor trained themselves; and ``failures``, one
        line per check that fails.
    """
    groups = [
        _group(row, files, base, before, after, original)
        for row in files.groups['groups']
    ]
    lora = {w['name'] for group in groups for w in group['weights']}
    names = sorted({*before, *after})
    changed = [n for n in names if before.get(n) != after.get(n)]
    lora.update(files.groups.get('trained_tensors') or [])
    outside = [n for n in changed if n not in lora]
    zero = [group['name'] for group in groups if group['zero']]
    return dict(
        request=files.index,
        classes=list(files.meta.get('classes') or []),
        groups=groups,
        zero_groups=zero,
        zero_ratio=len(zero) / len(groups) if groups else None,
        **_adapter_sizes(files),
        tensors=len(names),
        tensors_outside=len(set(names) - lora),
        changed=len(changed),
        changed_outside=outside,
        same_as_original=[g['name'] for g in groups if g['same_as_original']],
        history=files.groups.get('history') or [],
        failures=group_failures(groups, files) + outside_failures(outside))


def _group(row, files, base, before, after, original):
    """One entry of ``groups``."""
    keys = _adapter_keys(row, files.adapter_meta.get('group'))
    stored = [files.adapter[k] for k in keys if k in files.adapter]
    weights = [
        dict(
            name=name,
            base_sha256=before.get(name),
            merged_sha256=after.get(name),
            identical=_same(name, before, after))
        for name in (f'{layer}.weight' for layer in row['layers'])
    ]
    names = [w['name'] for w in weights]
    # By 'block' the prefix is the whole block, attention and norms too.
    inside = [n for n in original if n.startswith(row['name'] + '.')]
    return dict(
        name=row['name'],
        norm=math.sqrt(sum(_square_sum(t) for t in stored)),
        update_norm=_change(names, base, files.merged),
        zero=not any(bool(t.any()) for t in stored),
        parameters=row['parameters'],
        layers=row['layers'],
        weights=weights,
        bit_identical=all(w['identical'] for w in weights),
        same_as_original=all(
            _same(n, original, after) for n in {*names, *inside}))


def _adapter_keys(row, grouping):
    if grouping == 'matrix':
        return [row['name']]
    return [
        f'{layer}.{matrix}' for layer in row['layers']
        for matrix in ('lora_A', 'lora_B')
    ]


def _same(name, before, after):
    # A weight that neither has is no proof of anything.
    return name in before and before[name] == after.get(name)


def _square_sum(tensor):
    return float(tensor.double().square().sum())


def _change(names, base, merged):
    """Norm of the change of some weights; None if they do not compare."""
    total = 0.
    for name in names:
        old, new = base.get(name), merged.get(name)
        if old is None or new is None or old.shape != new.shape:
            return None
        total += _square_sum(new.double() - old.double())
    return math.sqrt(total)


def _adapter_sizes(files):
    """Bytes of the adapter: its file, its weights, all weights.

    A dropped group was of the element size of the rest, float32 if all were
    dropped.
    """
    stored = files.adapter.values()
    if files.adapter_bytes is None:
        return dict.fromkeys(('adapter_file_bytes', 'adapter_weight_bytes',
                              'adapter_weight_bytes_with_zero_groups'))
    size = max((t.element_size() for t in stored),
               default=torch.finfo(torch.float32).bits // 8)
    return dict(
        adapter_file_bytes=files.adapter_bytes,
        adapter_weight_bytes=sum(t.numel() * t.element_size() for t in stored),
        adapter_weight_bytes_with_zero_groups=size *
        sum(row['parameters'] for row in files.groups['groups']))
