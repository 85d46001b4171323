"""What a method may look at before a request is trained."""
import contextlib
import io
from dataclasses import dataclass, field

import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS
from torch.utils.data import DataLoader, Subset


@dataclass
class RequestContext:
    """A request as its method finds it.

    Args:
        model (ForgettingMixin): With the weights that the request starts
            from, on its device, in inference mode.
        num_classes (int): C.
        forget (list[int]): Labels of the classes of the request.
        retain (list[int]): Labels that stay.
        forgotten (list[int]): Labels of all classes forgotten so far, those
            of this request included.
        images (dict): ``dataset``, config of the request's
            ForgetRetainDataset with the pipeline of an evaluation;
            ``batch_size`` and ``num_workers``.
        previous (dict[str, Tensor]): What was prepared for the request
            before; empty for the first.
        generator (torch.Generator): For what the method draws; its seed is
            that of the request.
    """

    model: torch.nn.Module
    num_classes: int
    forget: list
    retain: list
    forgotten: list
    images: dict
    previous: dict = field(default_factory=dict)
    generator: torch.Generator = None

    def batches(self, stream, batch_size=None):
        """The images of a stream, each once, as an evaluation sees them.

        Args:
            stream (str): ``'forget'`` or ``'retain'``; of the images that
                the request trains with.
            batch_size (int, optional): Defaults to that of an evaluation.

        Yields:
            tuple[Tensor, list[BaseDataElement]]: Images (B, 3, H, W) on the
            device of the model, and their samples, with labels.
        """
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools
            data = DATASETS.build(self.images['dataset'])
        first = 0 if stream == 'forget' else data.num_forget
        last = data.num_forget if stream == 'forget' else len(data)
        loader = DataLoader(
            Subset(data, range(first, last)),
            batch_size=batch_size or self.images['batch_size'],
            num_workers=self.images['num_workers'],
            collate_fn=pseudo_collate)
        for batch in loader:
            batch = self.model.data_preprocessor(batch, False)
            yield batch['inputs'], batch['data_samples']
