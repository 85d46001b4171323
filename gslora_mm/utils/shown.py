"""Names from files and numbers of things, as they may be printed."""

_LONGEST = 120


def shown(name, longest=_LONGEST):
    """One line for a name that came from a file, whatever is in it.

    Line breaks, escape sequences of terminals and marks that turn the
    direction of writing appear as escapes; the middle of a very long name is
    left out.

    Args:
        name (object): The name.
        longest (int): Most characters that are kept.

    Returns:
        str: It can be printed, and is one line.
    """
    # Cut first: a name may have millions of characters.
    text = str(name)
    if len(text) > longest:
        half = (longest - 5) // 2
        text = f'{text[:half]} ... {text[-half:]}'
    return ''.join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def counted(number, noun):
    """str: ``1 run``, ``2 runs``: the plural of the noun is regular."""
    return f'{number} {noun}{"s" if number != 1 else ""}'
