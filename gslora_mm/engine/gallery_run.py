"""The gallery test of a run: embeddings, enrolment, reports."""
import copy
import zipfile
from pathlib import Path

import numpy as np
import torch
from mmengine.registry import DATASETS, MODELS
from rich import get_console
from rich.progress import track
from torch.utils.data import SequentialSampler

from ..datasets.data_checks import blame_image
from ..evaluation import (class_sets_for_requests, enroll, gallery_metrics,
                          gallery_report)
from ..utils import ForgetError, atomic_path, read_json, write_json
from .checkpoints import load_into
from .data_config import plain_dataset
from .runner import RequestRunner
from .tasks import task_of

GALLERY, REPORT = 'gallery.json', 'gallery_report.json'
BEFORE = 'gallery_before.json'
TEMPLATES = 'gallery_templates.npz'


class GalleryTest:
    """Identification by embedding, beside the accuracy of the head.

    Every identity is enrolled with the images of the training split, or of
    the data set that ``forget.gallery.dataset`` names; probes are the
    validation images. The pre-trained model's templates are kept, so that
    identities enrolled before forgetting are tested as well.

    Args:
        cfg (Config): The whole config.
        settings (ForgetSettings): Its forget section, with a gallery.
        prepare (Callable, optional): Takes the model of :meth:`measure`,
            loaded, and the data set of the probes and changes the model.
    """

    def __init__(self, cfg, settings, prepare=None):
        self.cfg, self.settings = cfg, settings
        self.prepare = prepare
        self.task = task_of(cfg)
        self.far = settings.gallery['far']

    def base(self, state, source, requests, folder):
        """Test the pre-trained model and keep its templates.

        Args:
            state (dict[str, Tensor]): Its weights.
            source (str): Where they come from, for messages.
            requests (list[Request]): Whose class sets to measure.
            folder (Path): Where report and templates go.
        """
        gallery, probes = self._embeddings(state, source)
        templates, labels = enroll(*gallery)
        report = self._report(gallery, probes, requests, None)
        with atomic_path(Path(folder) / TEMPLATES) as partial:
            np.savez(partial, templates=templates, labels=labels)
        # Written last: from here on the test counts as done.
        write_json(Path(folder) / REPORT, report)

    def measure(self, state, source, requests, base_folder):
        """Test a model after a request.

        Args:
            state (dict[str, Tensor]): Its weights.
            source (str): Where they come from, for messages.
            requests (list[Request]): Whose class sets to measure.
            base_folder (Path): Where :meth:`base` wrote.

        Returns:
            dict: See :func:`gslora_mm.evaluation.gallery_report`.
        """
        old = _read_templates(Path(base_folder) / TEMPLATES)
        found = self._embeddings(state, source, self.prepare)
        return self._report(*found, requests, old)

    def _report(self, gallery, probes, requests, old):
        sets = class_sets_for_requests(requests, self.settings.unseen)
        return gallery_report(*gallery, *probes, self.settings.classes, sets,
                              self.far, old)

    def _embeddings(self, state, source, prepare=None):
        """Embeddings and labels of the gallery and of the probes."""
        model = MODELS.build(self.task.plain_model(self.cfg))
        load_into(model, state, source)
        check_embeddings(model)
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
        model = model.to(device).eval()
        loader = self.task.evaluation_data(self.cfg, self.settings.classes)
        if prepare:
            prepare(model, DATASETS.build(loader['dataset']))
        return [
            _embed(model, _whole_loader(loader, data), title)
            for title, data in (('gallery, enrolment',
                                 self._gallery_data(loader)),
                                ('gallery, probes', loader['dataset']))
        ]

    def _gallery_data(self, loader):
        """The enrolment images, prepared as those of the evaluation."""
        own = self.settings.gallery.get('dataset')
        data = copy.deepcopy(
            plain_dataset(own)) if own else self.task.training_data(
                self.cfg, self.settings.classes)
        data.pop('classes', None)
        data['metainfo'] = dict(classes=list(self.settings.classes))
        data['pipeline'] = plain_dataset(loader['dataset'])['pipeline']
        return data


def check_embeddings(model):
    """Check that the head of a classifier has an embedding before it.

    Args:
        model (nn.Module): The plain model.

    Raises:
        ForgetError: If it has none.
    """
    head = getattr(model, 'head', None)
    if not hasattr(head, 'pre_logits'):
        raise ForgetError(f'the head {type(head).__name__} gives no '
                          'embeddings; remove forget.gallery')


def _whole_loader(loader, data):
    """Every image in order, in this process: mmengine's samplers share."""
    dataset = DATASETS.build(data)
    loader = {
        k: v
        for k, v in loader.items()
        if k not in ('batch_sampler', 'num_batch_per_epoch')
    }
    return RequestRunner.build_dataloader(
        dict(
            loader,
            dataset=dataset,
            sampler=SequentialSampler(dataset),
            drop_last=False))


def _embed(model, loader, title):
    """Embeddings (N, D) and labels (N,) of a data set."""
    embeddings, labels = [], []
    # A bar that is no terminal would leave an empty line.
    batches = track(
        loader, title, transient=True, disable=not get_console().is_terminal)
    try:
        for batch in batches:
            batch = model.data_preprocessor(batch, False)
            embeddings.append(_embedding(model, batch['inputs']))
            labels += [int(s.gt_label) for s in batch['data_samples']]
    except ForgetError:
        raise
    except Exception:
        blame_image(loader.dataset)
        raise
    return np.concatenate(embeddings), np.array(labels)


@torch.no_grad()
def _embedding(model, inputs):
    found = model.extract_feat(inputs, stage='pre_logits')
    if not isinstance(found, torch.Tensor):
        raise ForgetError(f'the head {type(model.head).__name__} gives more '
                          'than one embedding; remove forget.gallery')
    return found.flatten(1).float().cpu().numpy()


def _read_templates(path):
    """Templates (K, D) and labels (K,) as :meth:`GalleryTest.base` wrote."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            templates, labels = kept['templates'], kept['labels']
        if templates.ndim != 2 or labels.shape != templates.shape[:1] or (
                labels.dtype.kind != 'i' or templates.dtype.kind != 'f'):
            raise ValueError('templates and labels do not belong together')
        return templates, labels
    except (OSError, EOFError, KeyError, ValueError,
            zipfile.BadZipFile) as err:
        raise ForgetError(
            f'the templates {path} are gone or damaged; remove '
            f'{path.with_name(REPORT)} and --resume to enrol again') from err


def request_gallery(base, before, after, index):
    """Gallery numbers of a request from the reports on disk.

    Args:
        base (Path): The base's report.
        before (Path): Of the model right before the request.
        after (Path): Of the request.
        index (int): Which request, from 1.

    Returns:
        dict: See :func:`gslora_mm.evaluation.gallery_metrics`.
    """
    return gallery_metrics(*map(read_json, (base, before, after)), index)
