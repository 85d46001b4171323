"""Classify with plain mmpretrain alone; started as a process of its own.

    python plain_classify.py CONFIG CHECKPOINT OUT IMAGE...
"""
import sys

from plain_detect import Blocker


def main():
    """Write logits, probabilities and the predicted class of every image."""
    sys.meta_path.insert(0, Blocker)
    try:
        import gslora_mm  # noqa: F401
    except ImportError:
        pass
    else:
        raise SystemExit('gslora_mm could be imported')
    import torch
    from mmpretrain import ImageClassificationInferencer
    config, checkpoint, out, *images = sys.argv[1:]
    inferencer = ImageClassificationInferencer(
        config, pretrained=checkpoint, device='cpu')
    model, logits = inferencer.model, []
    model.head.register_forward_hook(lambda *args: logits.append(args[2]))
    found = inferencer(images, batch_size=len(images))
    assert not any(m.startswith('gslora_mm') for m in sys.modules)
    torch.save(
        dict(
            logits=torch.cat(logits),
            scores=torch.tensor([f['pred_scores'].tolist() for f in found]),
            classes=[f['pred_class'] for f in found]), out)


if __name__ == '__main__':
    main()
