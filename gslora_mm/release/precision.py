"""A release at another precision: rounding can bring a class back."""
import warnings
from pathlib import Path

import torch
from mmengine.dataset import pseudo_collate
from torch import nn

from ..engine.artefacts import METRICS
from ..utils import ForgetError

PRECISIONS = ('fp32', 'fp16', 'bf16', 'int8')
_ROUNDED = dict(fp16=torch.float16, bf16=torch.bfloat16)
_PROBED = 2


class Precision:
    """Makes a model, just loaded, one of another precision.

    ``fp16`` and ``bf16`` round every weight and buffer. On a CPU the rounded
    numbers are computed with in single precision, on a GPU under autocast of
    that type. ``int8`` is torch's dynamic quantisation on a CPU: weights of
    linears per tensor in 8 bits, their inputs quantised batch by batch.
    Quantised are the linears that the model calls. Those whose weight it
    reads without calling them (the output of torch's MultiheadAttention)
    stay as they are, as does whatever is no linear.

    Args:
        name (str): One of ``PRECISIONS``.

    Attributes:
        report (dict): What was done to the last model: ``name``,
            ``computed`` and, of int8, ``linears``, ``quantised``,
            ``left_out`` (names) and ``share`` of all weights in 8 bits.

    Raises:
        ForgetError: If the name is unknown, or int8 is asked for where
            there is a GPU or no kernel for it.
    """

    def __init__(self, name):
        if name not in PRECISIONS:
            raise ForgetError(f'precision {name!r} is unknown; choose one of '
                              f'{", ".join(PRECISIONS)}')
        if name == 'int8':
            _check_int8()
        self.name, self.report = name, dict(name=name, computed='fp32')

    @property
    def plain(self):
        """bool: Whether nothing is changed."""
        return self.name == 'fp32'

    def __call__(self, model, dataset):
        """Change a model in place.

        Args:
            model (nn.Module): The plain model, on its device.
            dataset (Dataset): The evaluation; a few images are looked at.

        Raises:
            ForgetError: If a weight is too large for the precision.
        """
        if self.name in _ROUNDED:
            self._round(model, _ROUNDED[self.name])
        elif self.name == 'int8':
            self._quantise(model, dataset)

    @torch.no_grad()
    def _round(self, model, kind):
        for name, tensor in model.state_dict(keep_vars=True).items():
            if not tensor.is_floating_point():
                continue
            rounded = tensor.to(kind)
            if not torch.equal(rounded.isfinite(), tensor.isfinite()):
                raise ForgetError(f'{name} has weights too large for '
                                  f'{self.name}; choose another precision')
            tensor.copy_(rounded)
        if any(p.is_cuda for p in model.parameters()):
            model.test_step = torch.autocast('cuda', kind)(model.test_step)
            self.report['computed'] = self.name

    def _quantise(self, model, dataset):
        linears = {
            name: module
            for name, module in model.named_modules()
            if isinstance(module, nn.Linear)
        }
        called = _called(model, linears.values(), dataset)
        total = sum(v.numel() for v in model.state_dict().values())
        small = sum(module.weight.numel() for module in called)
        replaced = {module: _dynamic(module) for module in called}
        # A layer that is shared is replaced in every place.
        for name, module in list(model.named_modules(remove_duplicate=False)):
            if module in replaced:
                parent, _, key = name.rpartition('.')
                setattr(model.get_submodule(parent), key, replaced[module])
        self.report.update(
            computed='int8 products on a CPU',
            linears=len(linears),
            quantised=len(called),
            left_out=[n for n, m in linears.items() if m not in called],
            share=small / total)

    def describe(self):
        """One line for the table."""
        if self.plain:
            return self.name
        if self.name == 'int8':
            return (f'int8: {self.report["quantised"]} of '
                    f'{self.report["linears"]} linears, '
                    f'{self.report["share"]:.0%} of the weights')
        return (f'{self.name}: every weight rounded, computed in '
                f'{self.report["computed"]}')


def precision_file(out, work_dir, name):
    """Where the numbers of a precision go.

    Args:
        out (str | None): What the user asks for.
        work_dir (str): Folder of the test.
        name (str): The precision.

    Returns:
        str: ``out``, or a file of its own in the folder.

    Raises:
        ForgetError: If another precision's numbers would end in
            ``metrics.json``, which are those of the training.
    """
    plain = name == PRECISIONS[0]
    if out and not plain and Path(out).name == METRICS:
        raise ForgetError(f'{out} is for the numbers of the run itself; name '
                          f'another file for those in {name} with --out')
    return out or f'{work_dir}/test{"" if plain else f"_{name}"}.json'


def _check_int8():
    if torch.cuda.is_available():
        raise ForgetError('int8 is measured on a CPU; hide the GPU: '
                          'CUDA_VISIBLE_DEVICES= python tools/test.py ...')
    if torch.backends.quantized.engine == 'none':
        raise ForgetError('this build of torch has no int8 kernels for this '
                          'processor; choose fp16 or bf16')


@torch.no_grad()
def _called(model, linears, dataset):
    """Those of some linears that a forward calls, as a list."""
    called, hooks = {}, []
    for linear in linears:
        hooks.append(
            linear.register_forward_hook(
                lambda module, *_: called.setdefault(module)))
    try:
        count = min(_PROBED, len(dataset))
        model.eval().test_step(
            pseudo_collate([dataset[i] for i in range(count)]))
    finally:
        for hook in hooks:
            hook.remove()
    return list(called)


def _dynamic(linear):
    """A linear as torch quantises it dynamically."""
    from torch.ao.nn.quantized.dynamic import Linear
    from torch.ao.quantization import default_dynamic_qconfig
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        # torch takes its own class only, and mmcv has one derived from it.
        plain = nn.Linear(1, 1, bias=linear.bias is not None)
        plain.in_features = linear.in_features
        plain.out_features = linear.out_features
        plain.weight, plain.bias = linear.weight, linear.bias
        plain.qconfig = default_dynamic_qconfig
        return Linear.from_float(plain)
