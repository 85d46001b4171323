"""The images that prototypes are the means of."""
import copy
import hashlib
import io
import random
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
import torch
from mmengine.registry import DATASETS
from torch.utils.data import Dataset

from .tasks import task_of


class PrototypeImages(Dataset):
    """The training images of a request as an evaluation sees them.

    Each comes once as it is; then ``copies`` times more, changed by the
    transforms ``augment`` in front of the packing. What is random in them
    depends on the seed and the index alone, not on workers.

    Args:
        cfg (Config): The whole config.
        settings (ForgetSettings): Its forget section.
        streams (dict): Config of the request's ForgetRetainDataset.
        seed (int): Seed of the augmented copies.
    """

    def __init__(self, cfg, settings, streams, seed):
        pipeline = task_of(cfg).prototype_pipeline(cfg, settings.classes)
        inner = copy.deepcopy(streams['dataset'])
        inner['pipeline'] = pipeline
        # pycocotools chatters.
        with redirect_stdout(io.StringIO()):
            self.plain = DATASETS.build(dict(streams, dataset=inner))
        self.copies, self.seed = settings.prototypes['copies'], seed
        if self.copies:
            # Before the last step, which packs.
            pipeline = [
                *pipeline[:-1], *settings.prototypes['augment'], pipeline[-1]
            ]
            self.augmented = _with_pipeline(self.plain, inner, pipeline)

    def __len__(self):
        """int: Images, augmented copies included."""
        return len(self.plain) * (1 + self.copies)

    def __getitem__(self, idx):
        """One sample after its pipeline."""
        turn, position = divmod(idx, len(self.plain))
        if not turn:
            return self.plain[position]
        with _seeded(self.seed, idx):
            return self.augmented[position]

    def digest(self):
        """SHA-256 over stream, name and labels of every image, in hex.

        Folders above the last do not count, so that a run can be moved.
        """
        digest = hashlib.sha256()
        for idx in range(len(self.plain)):
            info = self.plain.get_data_info(idx)
            labels = info['gt_label'] if 'gt_label' in info else [
                (i['bbox_label'], i['bbox']) for i in info['instances']
            ]
            name = '/'.join(Path(info['img_path']).parts[-2:])
            digest.update(f'{info["stream"]} {name} {labels}\n'.encode())
        return digest.hexdigest()


def _with_pipeline(streams, inner, pipeline):
    """The same images behind other transforms; nothing is loaded again."""
    twin = copy.copy(streams)
    twin.inner = copy.copy(streams.inner)
    # Built by its data set, in whose scope the names of transforms are.
    twin.inner.pipeline = DATASETS.build(
        dict(inner, pipeline=pipeline, lazy_init=True)).pipeline
    return twin


@contextmanager
def _seeded(*seeds):
    """Random numbers that follow from ``seeds``; then on as before."""
    seed = int(np.random.SeedSequence(seeds).generate_state(1)[0])
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
