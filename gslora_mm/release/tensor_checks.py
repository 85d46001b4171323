"""Which tensors of a release are those of the base, bit by bit."""
from ..lora import tensor_digests
from ..utils import ForgetError

_NAMED = 4


def compare_tensors(base, state):
    """Compare two state dicts bit by bit.

    Args:
        base (dict[str, Tensor]): The original weights.
        state (dict[str, Tensor]): Those of the release.

    Returns:
        dict: ``identical`` (names), and ``changed``: by name the SHA-256 of
        dtype, shape and bytes in the ``release`` and in the ``base``.

    Raises:
        ForgetError: If they do not have the same tensors.
    """
    before, after = tensor_digests(base), tensor_digests(state)
    if before.keys() != after.keys():
        odd = sorted(before.keys() ^ after.keys())
        raise ForgetError(f'the release and the base do not have the same '
                          f'tensors ({_listed(odd)}): another architecture')
    return dict(
        identical=[key for key in after if after[key] == before[key]],
        changed={
            key: dict(release=after[key], base=before[key])
            for key in after if after[key] != before[key]
        })


def check_untouched(chain, index, identical):
    """Check that whatever no request touched kept every bit.

    Args:
        chain (Chain): The run.
        index (int): The last request of the release.
        identical (list[str]): Names of the tensors that are those of the
            base.

    Returns:
        dict: ``zero_groups``, names of the groups that are zero in all
        requests, and ``allowed_tensors``, how many might have changed.

    Raises:
        ForgetError: If a tensor changed that none of the requests trained.
    """
    numbers = range(1, index + 1)
    reports = {i: chain.groups(i) for i in numbers}
    allowed = set()
    for i in numbers:
        allowed.update(_changed_by(chain, i, reports[i]))
    tensors = set(chain.base()[1])
    moved = sorted(tensors - allowed - set(identical))
    if moved:
        raise ForgetError(
            f'{_listed(moved)} changed, and no request trained them: a file '
            f'of {chain.work_dir} is not what the run wrote')
    zero = None
    for i in numbers:
        rows = {
            row['name']: row['layers']
            for row in reports[i]['groups'] if row['zero']
        }
        zero = rows if zero is None else {
            k: v
            for k, v in zero.items() if k in rows
        }
    for name, layers in (zero or {}).items():
        for layer in layers:
            if f'{layer}.weight' not in identical:
                raise ForgetError(f'group {name} is zero in every request, '
                                  f'yet {layer}.weight is not that of the '
                                  'base')
    return dict(zero_groups=sorted(zero or {}), allowed_tensors=len(allowed))


def _changed_by(chain, index, report):
    """Names of the tensors that a request may have changed."""
    if not report['groups']:
        return report.get('trained_tensors', [])
    tensors = chain.adapter(index)[0]
    layers = {key.rpartition('.')[0] for key in tensors}
    return [f'{layer}.weight' for layer in layers]


def _listed(names):
    more = f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''
    return ', '.join(names[:_NAMED]) + more
