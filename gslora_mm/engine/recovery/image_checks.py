"""Whether there are as many images as a recovery asks for."""
import contextlib
import io
from pathlib import Path

from mmengine.registry import DATASETS

from ...utils import ForgetError
from ..request_config import training_config
from ..settings import ForgetSettings
from .measure import recovery_config, relearn
from .probe_run import probe_config
from .targets import NOBODY
from .variants import is_prototype


def check_images(cfg, request, recovery):
    """Draw all images that are asked for, before anything is trained.

    Args:
        cfg (Config): Config of a setting; its files are there.
        request (Request): Its last request.
        recovery (RecoverySettings): The recovery.

    Raises:
        ForgetError: If a variant, or the probes, want more images of a class
            than there are, or get none of one.
    """
    inner = None
    for key, called, run, share in _asked(cfg, request, recovery):
        settings = ForgetSettings.from_config(run)
        (again, ) = settings.requests
        loader = training_config(run, settings, again, Path('none'), '',
                                 '').train_dataloader
        if share is not None:
            relearn(loader, share)
        data = dict(loader.dataset, subset_file=None)
        if inner is not None:
            # All draw from one data set: it is loaded once.
            data['dataset'] = inner
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                inner = DATASETS.build(data).inner
        except ForgetError as err:
            # What data sets call shots.
            told = str(err).replace('shots=', f'{called}=', 1)
            raise ForgetError(f'recovery.{key}: {told}') from err


def _asked(cfg, request, recovery):
    """Whatever asks for some images of a class.

    Yields:
        tuple[str, str, Config, float | None]: Its key, what it calls the
        number of images, its config, and the share of the few in a batch if
        the model learns from them.
    """
    for name, variant in recovery.variants.items():
        made = is_prototype(variant)
        if made or 'shots' in variant:
            run = recovery_config(cfg, request, NOBODY, variant, recovery)
            share = None if made else variant.get('share', 0)
            called = 'images' if made else 'shots'
            yield f'variants.{name}', called, run, share
    if (recovery.probes or {}).get('images'):
        run = probe_config(cfg, request, NOBODY, recovery)
        yield 'probes', 'images', run, None
