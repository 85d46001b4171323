"""The images and labels that one erasure request may see."""
import numpy as np
from mmengine.registry import DefaultScope
from torch.utils.data import Dataset

from ..registry import DATASETS
from ..utils.errors import ForgetError
from ..utils.shown import shown
from .candidates import (find_candidates, keep_labels, missing_classes,
                         name_images)
from .data_checks import (check_on_disk, check_packed, full_init_checked,
                          is_readable, source_of)
from .random_state import drawn_from, image_seed
from .requests import check_class_names
from .subset_choice import choose_subsets, shared_subsets

STREAMS = ('forget', 'retain')


@DATASETS.register_module()
class ForgetRetainDataset(Dataset):
    """Two streams over one data set, for detection or classification.

    The images of a stream are those with at least one annotation of its
    classes; other boxes are dropped from them, so an image of a detection
    data set may be in both streams with different boxes. Labels keep their
    places in the full class list. Indices ``0..num_forget-1`` are the forget
    stream, the rest is the retain stream.

    Source: data protocol of the published GS-LoRA COCO code; stratified and
    per-class draws are ours.

    Args:
        dataset (dict | BaseDataset): The training data, all classes.
        forget (list[str]): Classes that the request forgets.
        retain (list[str]): Classes that stay.
        ratio (float): Share of each stream's images to use, in (0, 1].
            Ignored with ``shots``. Defaults to 1.0.
        shots (int, optional): Images per class instead of a ratio.
        shots_per_class (bool): Whether every class gets ``shots`` images, or
            (published) the stream draws ``shots * classes`` images from its
            pool. Defaults to True.
        stratified (bool): Whether ``ratio`` holds for every class, or
            (published) only for the whole. Defaults to True.
        count_crowd (bool): Whether a crowd annotation alone makes an image a
            candidate, as published. Defaults to False.
        hidden (list[str]): Classes that training must not show: images with
            an object of theirs are not used at all, neither with their boxes
            nor, which would teach to overlook them, without. Defaults to
            none.
        variants (int, optional): How many different samples an image gives:
            random transforms draw from a generator that is seeded by the
            image and by one of so many numbers. What depends on the sample
            alone, as what a teacher says of it, can then be kept. Defaults
            to any number.
        seed (int): Seed of the draw. Defaults to 0.
        subset_file (str, optional): Where the chosen images are written, or
            read from if they were chosen before with the same settings.
        lazy_init (bool): Whether to wait for :meth:`full_init`. Defaults to
            False.

    Attributes:
        missing_classes (list[str]): Retained classes that the data set does
            not show.

    Raises:
        ForgetError: If a class is unknown or in both streams, a forget class
            has no image, a class that has images gets none, ``subset_file``
            is of other settings, or the annotations are bad.
    """

    def __init__(self,
                 dataset,
                 forget,
                 retain,
                 ratio=1.0,
                 shots=None,
                 shots_per_class=True,
                 stratified=True,
                 count_crowd=False,
                 hidden=(),
                 variants=None,
                 seed=0,
                 subset_file=None,
                 lazy_init=False):
        self.inner = _build_inner(dataset)
        self.settings = dict(
            forget=_as_list(forget),
            retain=_as_list(retain),
            ratio=ratio if shots is None else None,
            shots=shots,
            shots_per_class=shots_per_class,
            stratified=stratified,
            count_crowd=count_crowd,
            seed=seed)
        if hidden:
            self.settings['hidden'] = _as_list(hidden)
        self.subset_file, self.variants = subset_file, variants
        self._labels = self._check_classes()
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self):
        """dict: Meta information of the whole data set, all classes."""
        return self.inner.metainfo

    @property
    def num_forget(self):
        """int: Images in the forget stream."""
        return len(self._positions['forget'])

    @property
    def num_retain(self):
        """int: Images in the retain stream."""
        return len(self._positions['retain'])

    def full_init(self):
        """Load the annotations and choose the images, once."""
        if self._fully_initialized:
            return
        candidates, img_ids, paths = self._find_candidates()
        self._positions = shared_subsets(
            lambda: choose_subsets(candidates, self.settings, self.metainfo[
                'classes']), self.subset_file, self.settings, candidates,
            *name_images(self.inner, img_ids, paths))
        chosen = set().union(*self._positions.values())
        check_on_disk(self.inner, [paths[i] for i in sorted(chosen)])
        self._fully_initialized = True

    def _find_candidates(self):
        """Load the annotations; images by stream, with ids and files."""
        full_init_checked(self.inner)
        classes = self.metainfo['classes']
        hidden = self.settings.get('hidden', [])
        found = find_candidates(self.inner, self._labels,
                                self.settings['count_crowd'],
                                frozenset(map(classes.index, hidden)))
        self.missing_classes = missing_classes(self.inner, self._labels,
                                               found[0], hidden)
        return found

    def __len__(self):
        """int: Images in both streams together."""
        return self.num_forget + self.num_retain

    def stream_of(self, idx):
        """Stream of an index and the position in it.

        Returns:
            tuple[str, int]: 'forget' or 'retain', and the position.

        Raises:
            IndexError: If there is no such index.
        """
        if not 0 <= idx < len(self):
            raise IndexError(f'index {idx} of {len(self)} samples')
        if idx < self.num_forget:
            return 'forget', idx
        return 'retain', idx - self.num_forget

    def get_data_info(self, idx):
        """Annotations of one sample, only those of its stream's classes.

        Args:
            idx (int): Index of the sample.

        Returns:
            dict: A copy of the inner data set's, with the key ``stream``.
        """
        stream, position = self.stream_of(idx)
        info = self.inner.get_data_info(self._positions[stream][position])
        self._keep(info, stream)
        info['stream'] = stream
        info['sample_idx'] = idx
        return info

    def _keep(self, info, stream):
        """Drop what the stream must not show, in place."""
        keep_labels(info, self._labels[stream])

    def __getitem__(self, idx):
        """One sample after the pipeline, marked with its stream.

        A sample that the pipeline refuses (None) gives way to the next of
        the same stream.

        Raises:
            ForgetError: If the image cannot be read, or the pipeline refuses
                every image that was tried or packs none.
        """
        stream, position = self.stream_of(idx)
        size, first = self._stream_range(stream)
        tries = getattr(self.inner, 'max_refetch', 1000) + 1
        for step in range(tries):
            data = self._run_pipeline(first + (position + step) % size)
            if data is not None:
                check_packed(data, 'train_dataloader.dataset')
                data['data_samples'].set_metainfo(dict(stream=stream))
                return data
        raise ForgetError(
            f'the pipeline refused {tries} images of the {stream} stream in a '
            'row; check its filters and the boxes in the annotations')

    def _run_pipeline(self, idx):
        info = self.get_data_info(idx)
        path = info['img_path']
        try:
            if self.variants is None:
                return self._transform(info)
            variant = np.random.randint(self.variants)
            with drawn_from(image_seed(info, self.settings['seed'], variant)):
                return self._transform(info)
        except ForgetError:
            raise
        except Exception as err:
            backend_args = getattr(self.inner, 'backend_args', None)
            if is_readable(path, backend_args):
                raise
            raise ForgetError(
                f'cannot read the image {shown(path)}; replace the file or '
                f'remove the image from {source_of(self.inner)}') from err

    def _transform(self, info):
        """What the pipeline makes of an image; None if it refuses it."""
        return self.inner.pipeline(info)

    def _stream_range(self, stream):
        if stream == 'forget':
            return self.num_forget, 0
        return self.num_retain, self.num_forget

    def _check_classes(self):
        """Labels of both streams, dict[str, frozenset[int]]."""
        classes = self.metainfo['classes']
        labels = {}
        for stream in STREAMS:
            names = self.settings[stream]
            if not names:
                raise ForgetError(
                    f'{stream} names no class; name at least one')
            check_class_names(names, classes, f'the {stream} stream')
            labels[stream] = frozenset(classes.index(n) for n in names)
        check_class_names(
            self.settings.get('hidden', ()), classes, 'the hidden classes')
        both = labels['forget'] & labels['retain']
        if both:
            raise ForgetError(
                f'class {classes[min(both)]!r} is to be forgotten and '
                'retained; remove it from one stream')
        return labels


def _as_list(names):
    return [names] if isinstance(names, str) else list(names)


def _build_inner(dataset):
    """The wrapped data set, not loaded yet if given as a config."""
    if not isinstance(dataset, dict):
        return dataset
    cfg = dict(dataset, lazy_init=True)
    current = DefaultScope.get_current_instance()
    if current is None or current.scope_name in ('mmengine', 'gslora_mm'):
        cfg.setdefault('_scope_', 'mmdet')
    return DATASETS.build(cfg)
