"""Dot-bounded patterns over module names."""
from fnmatch import fnmatchcase


def matches(pattern, name):
    """Whether a pattern matches a run of the components of a name.

    ``'encoder.layers.1'`` matches ``'encoder.layers.1.ffn.layers.0.0'`` but
    not ``'encoder.layers.10...'``; each component may hold the wildcards of
    :mod:`fnmatch`. A pattern may match anywhere in the name: write
    ``'layers.0.ffn'``, not ``'layers.0'``, which is also the first linear of
    every mmcv FFN (``...ffn.layers.0.0``).

    Args:
        pattern (str): Components joined by dots.
        name (str): Module name.

    Returns:
        bool: Whether it matches.
    """
    parts, wanted = name.split('.'), pattern.split('.')
    return any(
        all(map(fnmatchcase, parts[start:], wanted))
        for start in range(len(parts) - len(wanted) + 1))


def select(names, include=None, exclude=None, what='LoRA target'):
    """Keep the names that are included and not excluded.

    Args:
        names (list[str]): Candidates.
        include (str | list[str], optional): Patterns; all names if None.
        exclude (str | list[str], optional): Patterns.
        what (str): What the names are of, for messages.

    Returns:
        set[str]: What is kept.

    Raises:
        ValueError: If a pattern matches none of the candidates.
    """
    included = set(names)
    if include is not None:
        included = _any(names, include, 'include', what)
    return included - _any(names, exclude or [], 'exclude', what)


def _any(names, patterns, role, what):
    found = set()
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        hits = {name for name in names if matches(pattern, name)}
        if not hits:
            raise ValueError(f'{role} pattern {pattern!r} matches no {what}; '
                             f'{what.split()[-1]}s are {summarise(names)}')
        found |= hits
    return found


def summarise(names, limit=12):
    """Names on one line, with those that differ in numbers only counted.

    Args:
        names (list[str]): Dotted names.
        limit (int): How many entries are shown.

    Returns:
        str: Such as ``'encoder.layers.*.ffn.layers.*.* (x6)'``.
    """
    counts = {}
    for name in names:
        key = '.'.join('*' if p.isdigit() else p for p in name.split('.'))
        counts[key] = counts.get(key, 0) + 1
    shown = [f'{key} (x{n})' for key, n in list(counts.items())[:limit]]
    if len(counts) > limit:
        shown.append(f'and {len(counts) - limit} more')
    return ', '.join(shown) or 'none'
