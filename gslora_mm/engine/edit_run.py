"""Requests whose method changes weights without training."""
import time

import torch
from mmengine.dist import is_main_process
from mmengine.registry import MODELS

from ..models.cpu_deformable_attention import fast_cpu_attention
from ..utils import ForgetError
from ..utils.memory import peak_memory_mb, reset_peak_memory
from .artefacts import write_artefacts
from .checkpoints import check_state, load_into, load_plain_state
from .request_config import context_config, request_seed, training_config
from .request_context import RequestContext


@fast_cpu_attention()
def edit_request(cfg, settings, request, folder, base, base_print):
    """Change the weights of one request and write what is left behind.

    The main process does it alone.

    Args:
        cfg (Config): The whole config.
        settings (ForgetSettings): Its forget section.
        request (Request): The request.
        folder (Path): Its folder.
        base (str): Plain checkpoint the request starts from.
        base_print (str): Fingerprint of the base weights.

    Raises:
        ForgetError: If the method returns something else than weights of the
            model.
    """
    if not is_main_process():
        return
    folder.mkdir(parents=True, exist_ok=True)
    run = training_config(cfg, settings, request, folder, base, base_print)
    state, _ = load_plain_state(base)
    model = MODELS.build(run.model)
    load_into(model, state, base)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    model.to(device).eval()
    seed = request_seed(cfg, request)
    context = RequestContext(
        model=model,
        generator=model.generator.manual_seed(seed),
        **context_config(cfg, settings, request, run))
    reset_peak_memory()
    begin = time.time()
    edited = model.method.edit(dict(state), context)
    seconds = time.time() - begin
    _check_edited(model, edited)
    write_artefacts(
        model,
        state,
        settings,
        request,
        folder,
        base_print,
        dict(
            seconds=seconds,
            resumed=False,
            peak_memory_mb=peak_memory_mb(),
            iterations=0,
            epochs=0), [],
        state=edited)


def _check_edited(model, state):
    name = type(model.method).__name__
    check_state(model, state, f'that {name} made')
    broken = [
        key for key, value in state.items()
        if value.is_floating_point() and not value.isfinite().all()
    ]
    if broken:
        raise ForgetError(f'{name} made {broken[0]} not finite; choose other '
                          'values in forget.method')
