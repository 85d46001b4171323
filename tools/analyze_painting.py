r"""What the teacher sees of painted images, and whether a model can tell.

    python tools/analyze_painting.py \
        configs/gslora/ddetr_shapes_counterfactual.py
"""
import argparse
from pathlib import Path

from gslora_mm.utils.tool import quiet_libraries, run_tool

quiet_libraries()


def parse_args():
    """Arguments of the tool."""
    from gslora_mm.utils.cfg_options import CfgOptions
    parser = argparse.ArgumentParser(
        description='Paint the objects of a request out of training images '
        'in every way, draw some, and ask the original model whether painted '
        'places look like places without objects.')
    parser.add_argument(
        'config', help='config file with the CounterfactualTeacher')
    parser.add_argument(
        '--out',
        help='folder for CSV, Markdown and PNG; default '
        'work_dirs/painting/<config>')
    parser.add_argument('--fills', nargs='+', help='these only')
    parser.add_argument(
        '--images', type=int, default=200, help='at most; default 200')
    parser.add_argument(
        '--pictures', type=int, default=6, help='how many to draw; default 6')
    parser.add_argument(
        '--request', type=int, default=1, help='which one; default 1')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptions,
        help='override config keys, key=value')
    return parser.parse_args()


def main():
    """Paint, probe, write, print."""
    args = parse_args()
    from gslora_mm.analysis.painting_table import write_painting
    from gslora_mm.engine import read_config
    from gslora_mm.engine.painting_probe import ORIGINAL, probe_paintings
    from gslora_mm.utils import ForgetError
    for option in ('images', 'pictures'):
        if getattr(args, option) < 1:
            raise ForgetError(f'--{option} must be 1 or more')
    cfg = read_config(args.config, args.cfg_options)
    report = probe_paintings(cfg, args.fills, args.images, args.pictures,
                             args.request)
    out = Path(args.out or f'work_dirs/painting/{Path(args.config).stem}')
    print(write_painting(report, ORIGINAL, out))
    print(f'painting.csv, painting.md, painting.png, painting.pdf: {out}')


if __name__ == '__main__':
    run_tool(main)
