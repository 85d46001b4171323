"""Random numbers that depend on seed and epoch alone."""
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import FUNCTIONS
from mmengine.runner import set_random_seed

from ...registry import HOOKS
from .method_hook import unwrap

_STRIDE = 9973


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seeds every epoch anew, so that a resumed run repeats the same one.

    Args:
        seed (int): Seed of the request.
    """

    priority = 'VERY_HIGH'

    def __init__(self, seed):
        self.seed = seed

    def before_train_epoch(self, runner):
        """Seed python, numpy and torch for this epoch and rank."""
        seed = self.seed + _STRIDE * (runner.epoch + 1) + 31 * get_rank()
        set_random_seed(seed)
        # What the method draws does not depend on what others draw.
        unwrap(runner.model).generator.manual_seed(seed)


@FUNCTIONS.register_module(name='gslora_keep_worker_seed', force=True)
def keep_worker_seed(worker_id):
    """Leave a loader worker the seed that torch gave it.

    torch derives it from the epoch's state of the main process; mmengine's
    default would start every epoch of every worker from one fixed seed.
    """
