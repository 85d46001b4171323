"""Starting the processes of a distributed run."""
import torch
from mmengine.dist import init_dist

from ..utils import ForgetError


def init_launcher(cfg, launcher):
    """Join the process group of a launcher; on GPUs, or on CPUs by torchrun.

    Args:
        cfg (Config): The whole config; ``launcher`` is set in it.
        launcher (str): ``'none'``, ``'pytorch'``, ``'slurm'`` or ``'mpi'``.

    Raises:
        ForgetError: If the launcher needs a GPU and none is visible.
    """
    cfg.launcher = launcher
    if launcher == 'none':
        return
    if torch.cuda.is_available():
        init_dist(launcher, **cfg.get('env_cfg', {}).get('dist_cfg', {}))
        return
    if launcher != 'pytorch':
        raise ForgetError(f'--launcher {launcher} needs a GPU, and none is '
                          'visible; torchrun with --launcher pytorch works '
                          'on CPUs')
    # mmengine's own start and its default wrapper ask for a CUDA device.
    torch.distributed.init_process_group('gloo')
    cfg.model_wrapper_cfg = dict(
        type='MMDistributedDataParallel', device_ids=None)


def leave_launcher():
    """Leave the process group, once everybody is done.

    A process that just ends closes its connections while others may still
    be waiting at the last barrier.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
