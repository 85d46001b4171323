"""Measure a checkpoint on forgotten, remaining and formerly forgotten classes.

    python tools/test.py CONFIG CHECKPOINT [--adapter FILE] [--out FILE.json]
    python tools/test.py CONFIG RELEASE --precision int8
"""
import argparse

from gslora_mm.utils.tool import quiet_libraries, run_tool

quiet_libraries()


def parse_args():
    """Arguments in the manner of mmdet's own tools/test.py."""
    from gslora_mm.utils.cfg_options import CfgOptions
    parser = argparse.ArgumentParser(
        description='AP or accuracy of a checkpoint on the classes that a '
        'request forgets, that stay and that went before; and H.')
    parser.add_argument('config', help='config file with a forget section')
    parser.add_argument('checkpoint', help='plain, merged or base checkpoint')
    parser.add_argument('--adapter', help='adapter.safetensors to merge in')
    parser.add_argument(
        '--request',
        type=int,
        help='count the classes of this request (from 1) as forgotten now; '
        'default: the request that made the checkpoint, else the last')
    parser.add_argument(
        '--base', help='the pre-trained checkpoint; default load_from')
    parser.add_argument(
        '--precision',
        default='fp32',
        help='evaluate the checkpoint as fp16, bf16 or int8 (dynamic '
        'quantisation on a CPU); default fp32')
    parser.add_argument(
        '--out',
        help='write the numbers to this JSON file; '
        'default <work-dir>/test.json, with the precision in its name')
    parser.add_argument('--work-dir', default='work_dirs/test')
    parser.add_argument(
        '--show-dir',
        help='draw detections before and after side by side into this folder')
    parser.add_argument(
        '--show-num', type=int, default=8, help='images to draw (default 8)')
    parser.add_argument(
        '--show-score',
        type=float,
        default=0.3,
        help='draw detections from this score (default 0.3)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptions,
        help='override config keys, key=value')
    parser.add_argument(
        '--launcher',
        default='none',
        choices=['none', 'pytorch', 'slurm', 'mpi'])
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    return parser.parse_args()


def main():
    """Evaluate, print the table, write the JSON, draw."""
    args = parse_args()
    from mmengine.dist import is_main_process

    from gslora_mm.analysis.before_after import draw_before_after
    from gslora_mm.engine import init_launcher, leave_launcher, read_config
    from gslora_mm.engine.run_lock import lock_run
    from gslora_mm.engine.test_checkpoint import CheckpointTest
    from gslora_mm.evaluation import format_gallery, format_table
    from gslora_mm.release import Precision, precision_file
    from gslora_mm.utils import write_json
    precision = Precision(args.precision)
    out = precision_file(args.out, args.work_dir, args.precision)
    cfg = read_config(args.config, args.cfg_options)
    init_launcher(cfg, args.launcher)
    lock = lock_run(args.work_dir) if is_main_process() else None
    test = CheckpointTest(cfg, args.checkpoint, args.adapter, args.request,
                          args.base, args.work_dir,
                          None if precision.plain else precision)
    metrics = test.run()
    main_process = is_main_process()
    leave_launcher()
    if not main_process:
        return
    title = str(test.name)
    if not precision.plain:
        metrics['precision'] = precision.report
        title += f' ({precision.describe()})'
    write_json(out, metrics)
    print(format_table([metrics], title=title))
    if metrics.get('gallery'):
        print(f'\n{format_gallery([metrics])}\n')
    print(f'numbers: {out}')
    if args.show_dir:
        drawn = draw_before_after(test, args.show_dir, args.show_num,
                                  args.show_score)
        print(f'{drawn} images: {args.show_dir}')
    lock.close()


if __name__ == '__main__':
    run_tool(main)
