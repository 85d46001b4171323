"""Batches of a fixed number of forget and retain samples."""
import math

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from ..registry import DATA_SAMPLERS
from ..utils.errors import ForgetError

_FORGET, _RETAIN = 0, 1


@DATA_SAMPLERS.register_module()
class StreamSampler(Sampler):
    """Fill every batch with forget and retain samples.

    Each stream is cycled through fresh permutations. A stream that an epoch
    does not exhaust goes on in the next epoch where it stopped, so that all
    its images are used before one repeats. Batches follow from
    ``(seed, epoch)`` alone: a resumed run repeats them.

    Args:
        dataset (ForgetRetainDataset): Has ``num_forget`` forget samples
            first, then ``num_retain`` retain samples.
        batch_size (int): Samples per batch and process, as in the dataloader.
        forget_per_batch (int, optional): How many of them are forget
            samples. Defaults to half.
        seed (int, optional): The same in all processes. Defaults to a random
            one that they agree on.
        epoch_batches (int, optional): Batches per epoch and process.
            Defaults to one pass over the retain stream (over the forget
            stream where a batch has no retain samples).
        shuffle (bool): Whether to permute the streams. Defaults to True.

    Attributes:
        streams (tuple[str]): Where the images of an epoch come from. With
            one stream alone, a batch has as many images, all of it.

    Raises:
        ForgetError: If a number is out of range or a stream is empty.
    """

    streams = ('forget', 'retain')

    def __init__(self,
                 dataset,
                 batch_size,
                 forget_per_batch=None,
                 seed=None,
                 epoch_batches=None,
                 shuffle=True):
        self.rank, self.world_size = get_dist_info()
        if forget_per_batch is None:
            forget_per_batch = batch_size // 2
            if batch_size < 2:
                raise ForgetError(
                    f'batch_size is {batch_size}; a batch holds forget and '
                    'retain samples, use 2 or more')
        if not 0 <= forget_per_batch <= batch_size or batch_size < 1:
            raise ForgetError(
                f'forget_per_batch is {forget_per_batch}; it must be between '
                f'0 and batch_size={batch_size}')
        self.batch_size = batch_size
        self.per_batch = (forget_per_batch, batch_size - forget_per_batch)
        self.sizes = (dataset.num_forget, dataset.num_retain)
        for stream, name in ((_FORGET, 'forget'), (_RETAIN, 'retain')):
            if self.per_batch[stream] and not self.sizes[stream]:
                raise ForgetError(
                    f'the {name} stream has no images for its '
                    f'{self.per_batch[stream]} places in a batch; change '
                    'forget_per_batch or the classes of the request')
        if epoch_batches is None:
            main = _RETAIN if self.per_batch[_RETAIN] else _FORGET
            epoch_batches = math.ceil(self.sizes[main] /
                                      (self.per_batch[main] * self.world_size))
        if epoch_batches < 1:
            raise ForgetError(
                f'epoch_batches is {epoch_batches}; use 1 or more')
        self.epoch_batches = epoch_batches
        self.seed = sync_random_seed() if seed is None else seed
        self.shuffle = shuffle
        self.epoch = 0

    def __iter__(self):
        """Iterate the indices of this process, batch after batch."""
        forget, retain = (self._draw(stream, count)
                          for stream, count in enumerate(self._counts()))
        retain = retain + self.sizes[_FORGET]
        batches = np.concatenate([forget, retain], axis=1)
        return iter(batches.reshape(-1).tolist())

    def __len__(self):
        """int: Samples of this process in one epoch."""
        return self.epoch_batches * self.batch_size

    def set_epoch(self, epoch):
        """Choose the epoch whose batches are iterated next."""
        self.epoch = epoch

    def _counts(self):
        """tuple[int, int]: Images of each stream in a batch of this epoch."""
        if len(self.streams) > 1:
            return self.per_batch
        forget = self.batch_size if 'forget' in self.streams else 0
        return forget, self.batch_size - forget

    def _draw(self, stream, per_batch):
        """Positions of one stream; int array (epoch_batches, per_batch)."""
        size = self.sizes[stream]
        shape = (self.epoch_batches, self.world_size, per_batch)
        need = math.prod(shape)
        if not need:
            return np.zeros((self.epoch_batches, 0), int)
        # An epoch that exhausts the stream starts with a whole pass.
        start = self.epoch * (
            need if need < size else size * math.ceil(need / size))
        first, last = start // size, (start + need - 1) // size
        cycles = [self._cycle(stream, k) for k in range(first, last + 1)]
        drawn = np.concatenate(cycles)[start - first * size:][:need]
        return drawn.reshape(shape)[:, self.rank]

    def _cycle(self, stream, number):
        """One pass over a stream, int array (size, )."""
        size = self.sizes[stream]
        if not self.shuffle:
            return np.arange(size)
        rng = np.random.default_rng([self.seed, stream, number])
        return rng.permutation(size)
