"""Detect with plain mmdet alone; started as a process of its own.

    python plain_detect.py CONFIG CHECKPOINT OUT IMAGE...
"""
import sys


class Blocker:
    """Makes gslora_mm impossible to import."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        """Refuse the package and all in it."""
        if name.split('.')[0] == 'gslora_mm':
            raise ImportError(f'{name} is blocked')


def main():
    """Write boxes, scores and labels of every image."""
    sys.meta_path.insert(0, Blocker)
    try:
        import gslora_mm  # noqa: F401
    except ImportError:
        pass
    else:
        raise SystemExit('gslora_mm could be imported')
    import torch
    from mmdet.apis import inference_detector, init_detector
    config, checkpoint, out, *images = sys.argv[1:]
    model = init_detector(config, checkpoint, palette='random', device='cpu')
    found = []
    for image in images:
        instances = inference_detector(model, image).pred_instances
        found.append({k: instances[k] for k in ('bboxes', 'scores', 'labels')})
    assert not any(m.startswith('gslora_mm') for m in sys.modules)
    torch.save(found, out)


if __name__ == '__main__':
    main()
