"""The gallery test of a run: embeddings, enrolment, reports."""
import copy
from pathlib import Path

import numpy as np
import torch
from mmengine.registry import MODELS
from mmengine.runner import Runner
from rich.progress import track

from ..evaluation import (class_sets_for_requests, enroll, gallery_metrics,
                          gallery_report)
from ..utils import ForgetError, read_json, write_json
from .checkpoints import load_into
from .data_config import plain_dataset
from .tasks import task_of

GALLERY, REPORT = 'gallery.json', 'gallery_report.json'
_TEMPLATES = 'gallery_templates.json'


class GalleryTest:
    """Identification by embedding, beside the accuracy of the head.

    Every identity is enrolled with the images of the training split, or of
    the data set that ``forget.gallery.dataset`` names; probes are the
    validation images. The pre-trained model's templates are kept, so that
    identities enrolled before forgetting are tested as well.

    Args:
        cfg (Config): The whole config.
        settings (ForgetSettings): Its forget section, with a gallery.
    """

    def __init__(self, cfg, settings):
        self.cfg, self.settings = cfg, settings
        self.task = task_of(cfg)
        self.far = settings.gallery.get('far', 1e-3)

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
        write_json(
            Path(folder) / _TEMPLATES,
            dict(templates=templates.tolist(), labels=labels.tolist()))
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
        kept = read_json(Path(base_folder) / _TEMPLATES)
        old = np.array(kept['templates']), np.array(kept['labels'])
        return self._report(*self._embeddings(state, source), requests, old)

    def _report(self, gallery, probes, requests, old):
        sets = class_sets_for_requests(requests, self.settings.unseen)
        return gallery_report(*gallery, *probes, self.settings.classes, sets,
                              self.far, old)

    def _embeddings(self, state, source):
        """Embeddings and labels of the gallery and of the probes."""
        model = MODELS.build(self.task.plain_model(self.cfg))
        load_into(model, state, source)
        if not hasattr(getattr(model, 'head', None), 'pre_logits'):
            raise ForgetError(
                f'the head {type(model.head).__name__} gives no embeddings; '
                'remove forget.gallery')
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
        model = model.to(device).eval()
        loader = self.task.evaluation_data(self.cfg, self.settings.classes)
        return [
            _embed(model, Runner.build_dataloader(dict(loader, dataset=data)),
                   title)
            for title, data in (('gallery, enrolment',
                                 self._gallery_data(loader)),
                                ('gallery, probes', loader['dataset']))
        ]

    def _gallery_data(self, loader):
        """The enrolment images, prepared as those of the evaluation."""
        own = self.settings.gallery.get('dataset')
        data = copy.deepcopy(own) if own else self.task.training_data(
            self.cfg, self.settings.classes)
        data = dict(data, metainfo=dict(classes=list(self.settings.classes)))
        data['pipeline'] = plain_dataset(loader['dataset'])['pipeline']
        return data


@torch.no_grad()
def _embed(model, loader, title):
    embeddings, labels = [], []
    for batch in track(loader, title, transient=True):
        batch = model.data_preprocessor(batch, False)
        found = model.extract_feat(batch['inputs'], stage='pre_logits')
        embeddings.append(found.flatten(1).float().cpu().numpy())
        labels += [int(s.gt_label) for s in batch['data_samples']]
    return np.concatenate(embeddings), np.array(labels)


def request_gallery(base_folder, before_folder, folder, index):
    """Gallery numbers of a request from the reports on disk.

    Args:
        base_folder (Path): Folder of the base's report.
        before_folder (Path): Of the model right before the request.
        folder (Path): Of the request.
        index (int): Which request, from 1.

    Returns:
        dict: See :func:`gslora_mm.evaluation.gallery_metrics`.
    """
    reports = [
        read_json(Path(f) / REPORT)
        for f in (base_folder, before_folder, folder)
    ]
    return gallery_metrics(*reports, index)
