"""Train a base model with plain mmengine, and publish its weights.

    python tools/pretrain.py configs/pretrain/ddetr_shapes.py \
        --work-dir work_dirs/shapes_base --out data/ddetr_shapes.pth
"""
import argparse

from gslora_mm.utils.tool import RESUME, quiet_libraries, run_tool

quiet_libraries()


def parse_args():
    """Arguments as in mmdet's tools/train.py, plus ``--out``."""
    from gslora_mm.utils.cfg_options import CfgOptions
    parser = argparse.ArgumentParser(description='Train a base model.')
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='default work_dirs/<config>_base')
    parser.add_argument(
        '--resume', action='store_true', help='go on in the work dir')
    parser.add_argument(
        '--out',
        help='write the final weights, without optimizer state, to this '
        'file; default <work-dir>/base.pth')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptions,
        help='override config keys, key=value')
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    return parser.parse_args()


def main():
    """Train, then write the weights as a plain checkpoint."""
    args = parse_args()
    import os.path as osp

    from mmengine.dist import is_main_process

    from gslora_mm.engine import init_launcher, leave_launcher, read_config
    from gslora_mm.engine.pretraining import pretrain
    cfg = read_config(args.config, args.cfg_options)
    stem = osp.splitext(osp.basename(args.config))[0]
    cfg.work_dir = args.work_dir or f'work_dirs/{stem}_base'
    init_launcher(cfg, args.launcher)
    out = pretrain(cfg, args.resume, args.out)
    if is_main_process():
        print(f'weights: {out}')
    leave_launcher()


if __name__ == '__main__':
    run_tool(main, RESUME)
