"""Check a run against its manifests, and its release against the base.

    python tools/verify.py WORK_DIR [--base FILE] [--release FILE] [--head X]
"""
import argparse

from gslora_mm.utils.tool import quiet_libraries, run_tool

quiet_libraries()


def parse_args():
    """Arguments of the tool."""
    parser = argparse.ArgumentParser(
        description='Check the chain of manifests and every file it covers, '
        'and which tensors of the release equal the base bit by bit. Exits '
        'with status 1 unless all is whole.')
    parser.add_argument('work_dir', help='folder that tools/train.py wrote')
    parser.add_argument(
        '--base', help='the base checkpoint; default: where it lay')
    parser.add_argument(
        '--release',
        help='the checkpoint to compare with the base; default: merged.pth '
        'of the last request')
    parser.add_argument(
        '--head', help='the head as it was written down earlier')
    parser.add_argument(
        '--data',
        action='store_true',
        help='read the annotation files and images again as well')
    parser.add_argument(
        '--json', action='store_true', help='print everything as JSON')
    return parser.parse_args()


def main():
    """Verify, print."""
    args = parse_args()
    import json

    from gslora_mm.provenance import render_verification, verify_run
    from gslora_mm.utils import ForgetError, counted
    found = verify_run(args.work_dir, args.base, args.release, args.head,
                       args.data)
    if args.json:
        print(json.dumps(found.content(), indent=2))
    else:
        print(render_verification(found, args.work_dir))
    if not found.whole:
        first = found.faults[0]
        number = counted(len(found.faults), 'fault')
        raise ForgetError(
            f'{args.work_dir} is not whole: {number}, '
            f'first {first["file"]} {first["fault"]}; restore the files from '
            'a copy, or train these requests again')


if __name__ == '__main__':
    run_tool(main)
