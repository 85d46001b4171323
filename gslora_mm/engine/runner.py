"""mmengine's runner, talking to its log file rather than to the console."""
import contextlib
import io
import itertools
import logging
from pathlib import Path

from mmengine.dist import master_only
from mmengine.runner import Runner

from ..models.cpu_deformable_attention import fast_cpu_attention
from ..utils import atomic_path
from ..utils.stopping import defer

_COUNT = itertools.count()


class SafeRunner(Runner):
    """A runner whose files are whole or not there."""

    @master_only
    def save_checkpoint(self, out_dir, filename, *args, **kwargs):
        """Save a checkpoint; see ``Runner.save_checkpoint``."""
        if '://' in str(out_dir):
            super().save_checkpoint(out_dir, filename, *args, **kwargs)
            return
        with atomic_path(Path(out_dir) / filename) as partial:
            super().save_checkpoint(out_dir, partial.name, *args, **kwargs)

    def train(self):
        """Train; afterwards signals wait for nothing. See ``Runner.train``."""
        try:
            return super().train()
        finally:
            defer(False)


class RequestRunner(SafeRunner):
    """A runner of which several follow each other in one process.

    Every one gets an experiment name of its own (mmengine's loggers and
    message hubs are shared by name), and only warnings reach the console:
    :class:`~gslora_mm.engine.hooks.ProgressHook` speaks there. On a CPU,
    deformable attention is the fast one while it trains and tests.
    """

    @classmethod
    def from_cfg(cls, cfg):
        """Build from a config; see ``Runner.from_cfg``."""
        name = cfg.get('experiment_name') or 'gslora'
        cfg.experiment_name = f'{name}_{next(_COUNT)}'
        if cfg.get('visualizer'):
            cfg.visualizer.name = cfg.experiment_name
        return super().from_cfg(cfg)

    @master_only
    def dump_config(self):
        """Write the config to ``config_name``, not to a time-stamped name."""
        name = self.cfg.get('config_name', 'config.py')
        with atomic_path(Path(self.work_dir) / name) as partial:
            self.cfg.dump(str(partial))

    def build_logger(self, *args, **kwargs):
        """Build the logger; its console handler shows warnings only."""
        logger = super().build_logger(*args, **kwargs)
        quiet_console(logger)
        return logger

    @fast_cpu_attention()
    def train(self):
        """Train, then close the log file; see ``Runner.train``."""
        try:
            return super().train()
        finally:
            close_files(self.logger)

    @fast_cpu_attention()
    def test(self):
        """Test, then close the log file; see ``Runner.test``."""
        try:
            return super().test()
        finally:
            close_files(self.logger)

    def load_checkpoint(self, *args, **kwargs):
        """Load a checkpoint without mmengine's print."""
        with contextlib.redirect_stdout(io.StringIO()):
            return super().load_checkpoint(*args, **kwargs)

    @staticmethod
    def build_dataloader(*args, **kwargs):
        """Build a data loader without pycocotools' chatter."""
        with contextlib.redirect_stdout(io.StringIO()):
            return Runner.build_dataloader(*args, **kwargs)


def quiet_console(logger, level=logging.ERROR):
    """Let a logger's console handlers pass ``level`` and above only."""
    for handler in logger.handlers:
        if not isinstance(handler, logging.FileHandler):
            handler.setLevel(level)


def close_files(logger):
    """Close a logger's files.

    mmengine keeps every logger for good, so that a long sequence of requests
    would run out of file handles.
    """
    for handler in list(logger.handlers):
        if isinstance(handler, logging.FileHandler):
            logger.removeHandler(handler)
            handler.close()
