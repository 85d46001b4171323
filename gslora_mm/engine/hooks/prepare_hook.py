"""What a method does before the first step of a request."""
from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook

from ...registry import HOOKS
from ...utils import ForgetError
from ..prepared_file import PREPARED, load_prepared, save_prepared
from ..request_context import RequestContext
from .method_hook import unwrap


@HOOKS.register_module()
class PrepareHook(Hook):
    """Lets the method prepare itself, once per request, and begin.

    What it prepared lies in the folder of the request; a run that is resumed
    reads it there. The main process alone prepares.

    Args:
        folder (str): Folder of the request.
        base_fingerprint (str): Fingerprint of the weights it starts from.
        about (dict): Arguments of
            :class:`~gslora_mm.engine.request_context.RequestContext` that a
            config can hold; empty if the method prepares nothing.
        previous (str, optional): Folder of the request before.
        seed (int): Seed of what the method draws.
    """

    # After the hooks that load weights.
    priority = 'LOWEST'

    def __init__(self, folder, base_fingerprint, about, previous, seed):
        self.folder, self.base_print = Path(folder), base_fingerprint
        self.about, self.previous = about, previous
        self.seed = seed

    def before_train(self, runner):
        """Prepare, or read what was prepared; then begin.

        Raises:
            ForgetError: If the method cannot prepare itself, or what it
                prepared is gone.
        """
        model, stored = unwrap(runner.model), {}
        if self.about:
            # An error is sent as well: the others would wait for ever.
            outcome = [None]
            if is_main_process():
                try:
                    self._prepare(model, runner.iter)
                except ForgetError as err:
                    outcome[0] = err
            broadcast_object_list(outcome)
            if outcome[0] is not None:
                raise outcome[0]
            device = next(model.parameters()).device
            stored = load_prepared(self.folder, self.base_print)
            stored = {key: v.to(device) for key, v in stored.items()}
        # The same on every rank, and whether it prepared or not.
        model.generator.manual_seed(self.seed)
        model.method.begin(model, stored, fresh=not runner.iter)

    def _prepare(self, model, iterations):
        if iterations or (self.folder / PREPARED).is_file():
            return
        previous = load_prepared(self.previous) if self.previous else {}
        context = RequestContext(
            model=model,
            previous=previous,
            generator=model.generator.manual_seed(self.seed),
            **self.about)
        model.eval()
        stored = model.method.prepare(context)
        model.zero_grad(set_to_none=True)
        model.train()
        save_prepared(self.folder, stored, self.base_print)
