"""Peak memory of one training step, measured in a process of its own.

On a GPU the number is torch's ``max_memory_allocated``. A CPU has no such
counter, and the process's resident size is no substitute: the allocator keeps
freed pages, libraries map theirs at the first step, and the result changes
from run to run by more than the difference looked for. So the profiler's
record of every tensor allocation is used: bytes that exist before the step
(parameters, buffers, gradients, optimizer state) plus the highest sum that
allocations of the step itself reach. It is exact for tensors, the same in
every run, and leaves out only the scratch space inside single operators.
``rss_growth_mb``, by how much the resident size's peak over three steps
exceeds what it was before them, is given beside it.
"""
import json
import sys
import tempfile
from pathlib import Path

import torch
from mmengine.optim import build_optim_wrapper
from torch.profiler import ProfilerActivity, profile

from gslora_mm.models.cpu_deformable_attention import use_fast_cpu_attention
from gslora_mm.utils.memory import reset_peak_memory, resident_mb
from .common import Setting, device
from .training_parts import (forgetting_parts, forgetting_step, full_parts,
                             plain_step)

_MB = 2**20


def build(variant, setting, per_stream):
    """Model parts and step function of a variant."""
    ours = forgetting_parts(setting, per_stream, 1)
    if variant == 'forgetting':
        return ours, forgetting_step(ours)
    if variant == 'full':
        full = full_parts(setting, ours.batches)
        return full, plain_step(full)
    # Everything trainable, but supervised as our own loss does it.
    ours.model.requires_grad_(True)
    cfg = setting.config(optim_wrapper__optimizer__lr=1e-5)
    ours.optim = build_optim_wrapper(ours.model, cfg.optim_wrapper)
    return ours, forgetting_step(ours)


def static_bytes(parts):
    """Bytes of parameters, gradients, buffers and optimizer state."""
    model = parts.model
    tensors = [*model.parameters(), *model.buffers()]
    tensors += [p.grad for p in model.parameters() if p.grad is not None]
    for state in parts.optim.optimizer.state.values():
        tensors += [v for v in state.values() if torch.is_tensor(v)]
    unique = {t.data_ptr(): t.numel() * t.element_size() for t in tensors}
    return sum(unique.values())


def step_bytes(step):
    """Highest sum of the allocations that one step makes on the CPU."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as p:
        step()
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / 'trace.json'
        p.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text())['traceEvents']
    return max(
        e['args']['Total Allocated'] for e in events
        if e.get('name') == '[memory]' and e['args'].get('Device Type') == 0)


def measure(variant, setting, per_stream):
    """Peak memory of a step, the optimizer's state in place.

    Args:
        variant (str): ``'forgetting'``, ``'full'`` or ``'full_one_layer'``.
        setting (Setting): The run's setting.
        per_stream (int): Forget images of the batch, and retain images.

    Returns:
        dict: ``peak_mb`` and what it is made of, in MiB.
    """
    parts, step = build(variant, setting, per_stream)
    before = resident_mb('VmRSS')
    reset_peak_memory()
    for _ in range(3):
        step()
    grown = resident_mb('VmHWM') - before
    if device() == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        step()
        return dict(peak_mb=torch.cuda.max_memory_allocated() / _MB)
    static, dynamic = static_bytes(parts), step_bytes(step)
    return dict(
        peak_mb=(static + dynamic) / _MB,
        static_mb=static / _MB,
        step_mb=dynamic / _MB,
        rss_growth_mb=grown)


def main():
    """Measure what the JSON in the first argument asks for; print JSON."""
    from gslora_mm.utils.tool import quiet_libraries
    quiet_libraries()
    use_fast_cpu_attention()
    task = json.loads(sys.argv[1])
    setting = Setting(**task['setting'])
    print(json.dumps(measure(task['variant'], setting, task['per_stream'])))


if __name__ == '__main__':
    main()
