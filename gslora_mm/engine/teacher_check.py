"""Does the teacher say what the original model says?"""
import torch
from mmengine.registry import MODELS

from ..models.cpu_deformable_attention import fast_cpu_attention
from ..models.teacher import check_same
from .checkpoints import load_into
from .request_config import training_config
from .runner import RequestRunner
from .tasks import task_of


@fast_cpu_attention()
@torch.no_grad()
def check_teacher(cfg, settings, request, state, work_dir):
    """Compare teacher and plain model on a batch of the evaluation.

    The weights of the teacher are those of the base checkpoint to the bit
    (:class:`~gslora_mm.engine.hooks.TeacherHook`): with the same outputs it
    has the base's metrics.

    Args:
        cfg (Config): The whole config.
        settings (ForgetSettings): Its forget section.
        request (Request): A request whose method has a teacher.
        state (dict[str, Tensor]): Weights of the original model.
        work_dir (Path): Folder of the run; nothing is written there.

    Raises:
        ForgetError: If they differ.
    """
    task = task_of(cfg)
    run = training_config(cfg, settings, request, work_dir / request.name, '',
                          '')
    teacher = MODELS.build(run.model).teacher
    plain = MODELS.build(task.plain_model(cfg))
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    for model in (teacher, plain):
        load_into(model, state, cfg.load_from)
        model.to(device).eval()
    loader = RequestRunner.build_dataloader(
        task.evaluation_data(cfg, settings.classes), seed=0)
    batch = plain.data_preprocessor(next(iter(loader)), False)
    inputs, samples = batch['inputs'], batch['data_samples']
    said = teacher._outputs(
        teacher._predictions(inputs, samples), samples, match=False)
    expected = plain(inputs, samples, mode='tensor')
    if not isinstance(expected, torch.Tensor):
        # Of a detector: scores and boxes of all layers.
        expected = expected[0][-1]
    check_same(said.logits, expected)
