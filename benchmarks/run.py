"""All benchmarks of gslora_mm: ratios, taken in one run on one machine.

    python benchmarks/run.py [--only NAME ...] [--checkpoint FILE]
"""
import argparse
import contextlib
import importlib
import io
import os
import sys
import tempfile
import time
from pathlib import Path

# The benchmarks are a package, of which this file's folder must not hide
# anything: its modules would be found before others of the same name.
ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

BENCHMARKS = dict(
    attention='cpu_attention',
    matmul='cpu_matmul',
    step='fused_step',
    counterfactual='counterfactual_step',
    eval='one_pass_eval',
    inference='inference',
    finetune='finetune',
    methods='method_steps',
    requests='tenth_request')


def parse_args():
    """Arguments of the command line."""
    from mmengine.config import DictAction

    from benchmarks.common import CHECKPOINT
    parser = argparse.ArgumentParser(
        description='Measure gslora_mm against what it replaces. Nothing '
        'else should run on the machine.')
    parser.add_argument(
        '--only',
        nargs='+',
        choices=list(BENCHMARKS),
        default=list(BENCHMARKS),
        help='default: all')
    parser.add_argument(
        '--out',
        default=str(ROOT / 'work_dirs/benchmarks'),
        help='folder for results.json and results.md')
    parser.add_argument(
        '--checkpoint',
        default=str(ROOT / CHECKPOINT),
        help=f'plain checkpoint; default {CHECKPOINT}')
    parser.add_argument(
        '--repeats',
        type=int,
        help='measurements of each side; default: each '
        "benchmark's own number")
    parser.add_argument(
        '--tiny',
        action='store_true',
        help='smallest sizes: see that it runs; the numbers '
        'mean nothing')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        help='override config keys, key=value')
    return parser.parse_args()


def run_benchmark(name, setting):
    """Rows of one benchmark; what the libraries print is dropped."""
    with contextlib.redirect_stdout(io.StringIO()):
        module = importlib.import_module(f'benchmarks.{BENCHMARKS[name]}')
        return module.run(setting)


def main():
    """Run, print the table, write the files."""
    args = parse_args()
    from mmengine.logging import MMLogger
    from rich.console import Console

    from benchmarks import report
    from benchmarks.common import Setting
    from gslora_mm.models.cpu_deformable_attention import \
        use_fast_cpu_attention
    from gslora_mm.utils.cpu_matmul import use_onednn_matmul
    from gslora_mm.utils.memory import keep_freed_memory

    # As the tools do.
    keep_freed_memory()
    use_onednn_matmul()
    use_fast_cpu_attention()
    console = Console()
    MMLogger.get_instance('benchmarks', log_level='ERROR')
    out, checkpoint = (os.path.abspath(p) for p in (args.out, args.checkpoint))
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(checkpoint, folder, args.repeats, args.tiny,
                          args.cfg_options)
        content = dict(environment=report.environment(setting), rows=[])
        if content['environment']['load_at_start'] > 0.5:
            console.print('note: the machine is busy (load '
                          f'{os.getloadavg()[0]:.1f}); ratios will be noisy')
        begin = time.time()
        for name in args.only:
            console.print(f'{name} ...', end=' ')
            start = time.time()
            content['rows'] += [
                dict(benchmark=name, **row)
                for row in run_benchmark(name, setting)
            ]
            console.print(f'{time.time() - start:.0f} s')
            content['seconds'] = time.time() - begin
            report.write(out, content)
    console.print(report.console_table(content['rows']))
    console.print(f'everything is in {out}')


if __name__ == '__main__':
    from gslora_mm.utils.tool import quiet_libraries, run_tool
    quiet_libraries()
    run_tool(main)
