"""One inference pass over the validation set, every number from it."""
from ..datasets.data_checks import blame_image
from ..utils import ForgetError
from .checkpoints import load_into
from .request_config import evaluation_config
from .runner import RequestRunner


def evaluate_state(cfg, settings, state, source, requests, work_dir, title):
    """Measure a plain model on the class sets of some requests.

    Args:
        cfg (Config): The whole config.
        settings (ForgetSettings): Its forget section.
        state (dict[str, Tensor]): Weights of the plain model.
        source (str): Where they come from, for messages.
        requests (list[Request]): Whose class sets to measure.
        work_dir (Path): Where the log goes.
        title (str): What is evaluated, for the progress bar.

    Returns:
        dict: The report of
        :class:`~gslora_mm.evaluation.ForgetCocoMetric`.

    Raises:
        ForgetError: If the weights do not fit or an image cannot be read.
    """
    runner = RequestRunner.from_cfg(
        evaluation_config(cfg, settings, requests, work_dir, title))
    model = runner.model
    load_into(getattr(model, 'module', model), state, source)
    try:
        runner.test()
    except ForgetError:
        raise
    except Exception:
        blame_image(runner.test_dataloader.dataset)
        raise
    return runner.test_evaluator.metrics[0].report
