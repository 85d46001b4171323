"""Forget classes, request after request.

    python tools/train.py configs/gslora/ddetr_shapes_forget.py
"""
import argparse

from gslora_mm.utils.tool import RESUME, quiet_libraries, run_tool

quiet_libraries()


def parse_args():
    """Arguments as in mmdet's own tools/train.py."""
    from gslora_mm.utils.cfg_options import CfgOptions
    parser = argparse.ArgumentParser(
        description='Make a trained model forget classes on request.')
    parser.add_argument('config', help='config file with a forget section')
    parser.add_argument(
        '--work-dir', help='folder of the run; default work_dirs/<config>')
    parser.add_argument(
        '--resume',
        action='store_true',
        help='go on with the run in the work dir; finished work is kept')
    parser.add_argument(
        '--amp', action='store_true', help='mixed precision (GPU only)')
    parser.add_argument(
        '--seed', type=int, help='seed of the run; default from the config')
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
    """Run the sequence of requests of a config."""
    args = parse_args()
    import os.path as osp

    from mmengine.dist import is_main_process

    from gslora_mm.analysis.summary import render_summary
    from gslora_mm.engine import (ForgettingSequence, init_launcher,
                                  leave_launcher, read_config)
    cfg = read_config(args.config, args.cfg_options)
    init_launcher(cfg, args.launcher)
    if args.amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.loss_scale = 'dynamic'
    if args.seed is not None:
        cfg.setdefault('randomness', {})['seed'] = args.seed
    stem = osp.splitext(osp.basename(args.config))[0]
    work_dir = args.work_dir or cfg.get('work_dir') or f'work_dirs/{stem}'
    summary = ForgettingSequence(cfg, work_dir, args.resume).run()
    if is_main_process():
        print(render_summary(summary))
        print(f'everything is in {work_dir}')
    leave_launcher()


if __name__ == '__main__':
    run_tool(main, RESUME)
