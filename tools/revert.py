"""Go back to the state after an earlier request, exactly.

    python tools/revert.py WORK_DIR --to N --out FILE
    python tools/revert.py WORK_DIR --to N --drop
"""
import argparse
import sys

from gslora_mm.utils.tool import quiet_libraries, run_tool

quiet_libraries()


def parse_args():
    """Arguments of the tool."""
    parser = argparse.ArgumentParser(
        description='Write the weights after an earlier request, and drop '
        'the later requests from the run if asked for.')
    parser.add_argument('work_dir', help='folder that tools/train.py wrote')
    parser.add_argument(
        '--to',
        type=int,
        required=True,
        help='the request to go back to; 0 is the base model')
    parser.add_argument('--out', help='checkpoint to write')
    parser.add_argument(
        '--base', help='the original checkpoint; default load_from of the run')
    parser.add_argument(
        '--drop',
        action='store_true',
        help='remove the folders of all later requests; tools/train.py '
        '--resume goes on from there')
    parser.add_argument(
        '--yes', action='store_true', help='remove without asking')
    return parser.parse_args()


def main():
    """Write the state, drop what comes later."""
    args = parse_args()
    from gslora_mm.release import drop_after, later_folders, revert_to
    path, source = revert_to(args.work_dir, args.to, args.out, args.base)
    state = f'the state after request {args.to}' if args.to else 'the base'
    if path:
        print(f'{path}: {state}, from {source}')
    elif not args.drop:
        print(f'{state} is there: {source}; write a copy with --out FILE, '
              'or remove the later requests with --drop')
    if args.drop and _confirmed(args, later_folders(args.work_dir, args.to)):
        for folder in drop_after(args.work_dir, args.to, args.base):
            print(f'removed: {folder}')
        print(f'{args.work_dir} ends with {state}; go on with '
              'tools/train.py CONFIG --resume')


def _confirmed(args, folders):
    """Whether the folders may go; asks at a terminal."""
    from gslora_mm.utils import ForgetError
    if not folders or args.yes:
        return True
    names = ', '.join(folder.name for folder in reversed(folders))
    if not sys.stdin.isatty():
        raise ForgetError(f'--drop removes {names} for good; say --yes')
    return input(f'remove {names} for good? [y/N] ').lower() in ('y', 'yes')


if __name__ == '__main__':
    run_tool(main)
