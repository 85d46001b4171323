"""COCO evaluation whose matches serve any subset of the images."""
import copy

import numpy as np
from pycocotools.cocoeval import COCOeval


class SubsetCOCOeval(COCOeval):
    """Box evaluation: matched once, averaged over any subset of images.

    Boxes are matched per image and class, so the matches hold for every
    subset of either. ``COCOeval.accumulate(p)`` looks as if it took subsets,
    but uses positions in ``p.imgIds`` as positions in the evaluated images,
    and so reads the wrong images unless the subset is the beginning of the
    list. Here the matches are picked by image first.

    Only what AP needs is computed: all areas, at most 100 detections per
    image and class, IoU thresholds 0.50:0.05:0.95.

    Args:
        truth (COCO): Ground truth.
        detections (COCO): Detections, without any if nothing was found.
        cat_ids (Sequence[int]): Categories to evaluate.
        img_ids (Sequence[int]): Images to evaluate.
    """

    def __init__(self, truth, detections, cat_ids, img_ids):
        super().__init__(truth, detections, 'bbox')
        self.params.catIds = list(cat_ids)
        self.params.imgIds = list(img_ids)
        self.params.areaRng = self.params.areaRng[:1]
        self.params.areaRngLbl = self.params.areaRngLbl[:1]
        self.params.maxDets = [100]

    def average_precision(self, cat_ids, img_ids):
        """AP of some classes over some images, after :meth:`evaluate`.

        Args:
            cat_ids (Iterable[int]): Evaluated categories.
            img_ids (Iterable[int]): Evaluated images.

        Returns:
            dict[int, tuple]: For each category AP, the mean over all IoU
            thresholds, and AP50: floats in [0, 1], or None twice where the
            images hold no ground truth of the category but crowds.
        """
        part = self._part(set(cat_ids), set(img_ids))
        part.accumulate()
        # (thresholds, recalls, classes); -1 marks classes without truth.
        precision = part.eval['precision'][..., 0, 0]
        return {
            cat_id: (_mean(precision[:, :, k]), _mean(precision[0, :, k]))
            for k, cat_id in enumerate(part.params.catIds)
        }

    def _part(self, cat_ids, img_ids):
        """An evaluation that holds the matches of a subset alone."""
        # evaluate() has sorted both lists: positions are of those.
        whole = self._paramsEval
        rows = [k for k, i in enumerate(whole.catIds) if i in cat_ids]
        columns = [n for n, i in enumerate(whole.imgIds) if i in img_ids]
        part = COCOeval(iouType='bbox')
        part.params = copy.copy(whole)
        part.params.catIds = [whole.catIds[k] for k in rows]
        part.params.imgIds = [whole.imgIds[n] for n in columns]
        part._paramsEval = part.params
        width = len(whole.imgIds)
        part.evalImgs = [
            self.evalImgs[k * width + n] for k in rows for n in columns
        ]
        return part


def _mean(precision):
    known = precision[precision > -1]
    return float(np.mean(known)) if known.size else None
