"""Evaluation at given steps of a training."""
from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from ...registry import HOOKS
from ...utils import write_json


@HOOKS.register_module()
class CurveHook(Hook):
    """Evaluates before the first step and after some others.

    The validation loop of the runner runs as it always does; what its metric
    reports is written when the training ends, whole or not at all.

    Args:
        steps (list[int]): After how many optimizer iterations; 0 is before
            the first.
        file (str): Where the reports go: a JSON list of ``step`` and
            ``report``.
    """

    # After the hooks that load weights, or change them after a step; before
    # the one with which the method begins.
    priority = 95

    def __init__(self, steps, file):
        self.steps, self.file, self.points = set(steps), file, []

    def before_train(self, runner):
        """Evaluate what is trained."""
        self._evaluate(runner, 0)

    def after_train_iter(self, runner, *args, **kwargs):
        """Evaluate, if it is time."""
        self._evaluate(runner, runner.iter + 1)

    def after_train(self, runner):
        """Write the curve."""
        if is_main_process():
            write_json(self.file, self.points)

    def _evaluate(self, runner, step):
        if step in self.steps:
            runner.val_loop.run()
            runner.model.train()
            report = runner.val_loop.evaluator.metrics[0].report
            self.points.append(dict(step=step, report=report))
