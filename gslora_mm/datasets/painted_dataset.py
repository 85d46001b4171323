"""Training images, each with the world without what is forgotten."""
import copy
from functools import partial

import torch

from ..registry import DATASETS
from ..utils.errors import ForgetError
from .forget_retain_dataset import ForgetRetainDataset
from .painted_pipeline import donor_of, run_painted
from .painting import Painter
from .random_state import RandomState, image_seed
from .requests import check_class_names


@DATASETS.register_module()
class PaintedDataset(ForgetRetainDataset):
    """Two streams of a detection data set, and what a teacher sees of them.

    Wherever an image shows an object of a forgotten class (of all requests
    so far, crowds included, whatever stream the image is in and whatever
    boxes that keeps), the sample has a second image without these objects.
    Both come out of the same pipeline with the same random numbers: the
    objects are painted out as soon as the image is loaded. Beside the usual
    fields the sample then has

    - ``painted_inputs`` (Tensor): the second image, as ``inputs``;
    - ``painted_boxes`` (Tensor): where objects were, in pixels of ``inputs``,
      x1, y1, x2, y2, of shape (K, 4).

    Samples of images without such objects have neither.

    Args:
        painting (dict): Arguments of :class:`Painter`.
        forgotten (list[str]): All classes forgotten so far, those of this
            request included.
        **kwargs: Arguments of :class:`ForgetRetainDataset`.

    Raises:
        ForgetError: As there; or if the pipeline cannot be run twice.
    """

    def __init__(self, *args, painting=None, forgotten=(), **kwargs):
        self.painter = Painter(**(painting or {}))
        self.forgotten_names = list(forgotten)
        super().__init__(*args, **kwargs)

    def full_init(self):
        """Load the annotations and choose the images, once."""
        if self._fully_initialized:
            return
        classes = self.metainfo['classes']
        check_class_names(self.forgotten_names, classes,
                          'the forgotten classes')
        self._gone = frozenset(map(classes.index, self.forgotten_names))
        super().full_init()

    def _keep(self, info, stream):
        everything = info['instances']
        info['painted'] = [
            i for i in everything if i['bbox_label'] in self._gone
        ]
        info['others'] = [
            i['bbox'] for i in everything if i['bbox_label'] not in self._gone
        ]
        super()._keep(info, stream)

    def _transform(self, info):
        """See :meth:`ForgetRetainDataset._transform`."""
        gone, others = info.pop('painted'), info.pop('others')
        if not gone:
            return super()._transform(info)
        # Transforms carry the boxes of ignored objects along; a detector's
        # loss does not look at them.
        info['instances'] = [
            i for i in info['instances']
            if not (i.get('ignore_flag') and i['bbox_label'] in self._gone)
        ] + [dict(i, ignore_flag=1) for i in gone]
        twin, state = copy.deepcopy(info), RandomState()
        data = super()._transform(info)
        if data is None:
            return None
        state.restore()
        painted = self._transform_painted(twin, [i['bbox'] for i in gone],
                                          others)
        return None if painted is None else self._joined(data, painted)

    def _transform_painted(self, info, boxes, others):
        seed = image_seed(info)
        return run_painted(
            self.inner.pipeline, info, lambda image: self.painter(
                image, boxes, seed, others, partial(donor_of, self.inner)))

    def _joined(self, data, painted):
        """The sample, with the second image."""
        sample, boxes = data['data_samples'], None
        ours, theirs = (
            d['data_samples'].get('ignored_instances')
            for d in (data, painted))
        if ours is not None and 'labels' in ours:
            gone = torch.tensor([int(c) in self._gone for c in ours.labels],
                                dtype=torch.bool)
            boxes = _plain(ours.bboxes)[gone]
            sample.ignored_instances = ours[~gone]
        if boxes is None or data['inputs'].shape != painted[
                'inputs'].shape or not torch.equal(
                    _plain(ours.bboxes), _plain(theirs.bboxes)):
            raise ForgetError(
                'train_dataloader.dataset.pipeline makes something else of an '
                'image whose forgotten objects are painted out; remove '
                'transforms that look at pixels or draw from generators of '
                'their own, and keep LoadAnnotations with_bbox=True')
        if not torch.equal(data['inputs'], painted['inputs']):
            sample.painted_inputs = painted['inputs']
            sample.painted_boxes = boxes
        return data


def _plain(boxes):
    """Tensor: Boxes (K, 4), whatever mmdet packs them in."""
    return getattr(boxes, 'tensor', boxes)
