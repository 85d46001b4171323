"""Kinds of models, and what differs between them."""
from ...utils import ForgetError
from .classification import Classification
from .detection import Detection
from .task import Task

TASKS = (Detection(), Classification())


def task_of(cfg):
    """The task of a config, known by the head of its model.

    Args:
        cfg (Config): The whole config.

    Returns:
        Task: Detection or classification.

    Raises:
        ForgetError: If the model has the head of neither.
    """
    for task in TASKS:
        if task.head in cfg.model:
            return task
    raise ForgetError(
        'the model of the config has neither a bbox_head nor a head; '
        'detectors of mmdet and classifiers of mmpretrain are supported')


__all__ = ['Classification', 'Detection', 'TASKS', 'Task', 'task_of']
