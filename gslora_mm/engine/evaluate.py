"""One inference pass over the validation set, every number from it."""
from mmengine.dist import broadcast_object_list

from ..datasets.data_checks import blame_image
from ..utils import ForgetError
from .checkpoints import load_into
from .request_config import evaluation_config
from .runner import RequestRunner


def evaluate_state(cfg,
                   settings,
                   state,
                   source,
                   requests,
                   work_dir,
                   title,
                   prepare=None):
    """Measure a plain model on the class sets of some requests.

    Args:
        cfg (Config): The whole config.
        settings (ForgetSettings): Its forget section.
        state (dict[str, Tensor]): Weights of the plain model.
        source (str): Where they come from, for messages.
        requests (list[Request]): Whose class sets to measure.
        work_dir (Path): Where the log goes.
        title (str): What is evaluated, for the progress bar.
        prepare (Callable, optional): Takes the loaded model and the data
            set and changes the model.

    Returns:
        dict: The report of
        :class:`~gslora_mm.evaluation.ForgetCocoMetric`, in every process.

    Raises:
        ForgetError: If the weights do not fit or an image cannot be read.
    """
    runner = RequestRunner.from_cfg(
        evaluation_config(cfg, settings, requests, work_dir, title))
    model = getattr(runner.model, 'module', runner.model)
    load_into(model, state, source)
    try:
        if prepare:
            prepare(model, runner.test_dataloader.dataset)
        runner.test()
    except ForgetError:
        raise
    except Exception:
        blame_image(runner.test_dataloader.dataset)
        raise
    # The main process alone has gathered what all of them saw.
    report = [runner.test_evaluator.metrics[0].report]
    broadcast_object_list(report)
    return report[0]
