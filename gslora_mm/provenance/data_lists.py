"""Which data a run saw: annotation files and lists of images."""
import contextlib
import csv
import io
import os.path as osp
from pathlib import Path

from mmengine.registry import DATASETS

from ..datasets.candidates import name_images
from ..datasets.data_checks import full_init_checked
from ..datasets.forget_retain_dataset import STREAMS, _build_inner
from ..utils import EVERY, atomic_path, read_form
from .digests import file_digest

IMAGES = 'images.csv'
_SUBSET = {
    EVERY: dict,
    **{stream: {'img_ids': [(int, str)]} for stream in STREAMS}
}  # yapf: disable


class DataLists:
    """Lists the files that a run reads.

    Args:
        cfg (Config): The whole config.
        settings (ForgetSettings): Its forget section.
        task (Task): What kind of model it is.
    """

    def __init__(self, cfg, settings, task):
        self.cfg, self.settings, self.task = cfg, settings, task
        self._digests = {}

    def annotations(self):
        """Annotation files of training and evaluation.

        Returns:
            dict: For ``train`` and ``val`` ``path``, ``bytes`` and
            ``sha256``; None where folders are the labels.
        """
        from ..engine.data_config import annotation_file, plain_dataset
        found = {}
        for split in ('train', 'val'):
            data = self.cfg[f'{split}_dataloader'].dataset
            named = plain_dataset(data).get('ann_file')
            path = annotation_file(data) if named else None
            found[split] = None if path is None or not osp.isfile(path) else {
                'path': path,
                **self._describe(path)
            }
        return found

    def write_evaluation(self, path):
        """List the images of the evaluation; see :meth:`_write`."""
        data = self.task.evaluation_data(self.cfg,
                                         self.settings.classes)['dataset']
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools
            dataset = DATASETS.build(data)
            dataset.full_init()
        return self._write(path, dataset, _paths(dataset))

    def write_subset(self, path, subset_file):
        """List the images of a request's subsets; see :meth:`_write`.

        Args:
            path (Path): The list to write.
            subset_file (Path): The subsets, as drawn.
        """
        content = read_form(subset_file, _SUBSET)
        data = self.task.training_data(self.cfg, self.settings.classes)
        with contextlib.redirect_stdout(io.StringIO()):
            dataset = _build_inner(data)
            full_init_checked(dataset)
        paths = _paths(dataset)
        ids = [
            dataset.get_data_info(i).get('img_id') for i in range(len(paths))
        ]
        path_of = dict(zip(name_images(dataset, ids, paths)[0], paths))
        chosen = {
            path_of[i]
            for stream in STREAMS
            for i in content[stream]['img_ids'] if i in path_of
        }
        return self._write(path, dataset, chosen)

    def _write(self, path, dataset, images):
        """Write path, size and digest of images as CSV.

        Args:
            path (Path): The list.
            dataset (BaseDataset): Where they are from.
            images (Iterable[str]): Their paths.

        Returns:
            bool: False if they lie in remote storage and nothing was
            written.

        Raises:
            ForgetError: If one cannot be read.
        """
        if getattr(dataset, 'backend_args', None):
            return False
        with atomic_path(path) as partial, open(
                partial, 'w', newline='', encoding='utf-8',
                errors='surrogateescape') as file:  # yapf: disable
            rows = csv.writer(file, lineterminator='\n')
            rows.writerow(('path', 'bytes', 'sha256'))
            for image in sorted(set(images)):
                about = self._describe(image)
                rows.writerow((image, about['bytes'], about['sha256']))
        return True

    def _describe(self, path):
        # Requests share most of their images.
        if path not in self._digests:
            digest = file_digest(path)
            self._digests[path] = dict(
                bytes=Path(path).stat().st_size, sha256=digest)
        return self._digests[path]


def _paths(dataset):
    return [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]


def read_images(path):
    """Read what :meth:`DataLists._write` wrote.

    Args:
        path (Path): The list.

    Yields:
        tuple[str, str]: Path and digest of every image.
    """
    with open(
            path, newline='', encoding='utf-8',
            errors='surrogateescape') as file:
        for row in csv.DictReader(file):
            yield row.get('path') or '', row.get('sha256') or ''
