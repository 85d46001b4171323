"""Names of the numbers that say what is left of forgotten classes."""
REFERENCE = 'reference'
# Of numbers of a variant its name follows: f_full, steps_1-shot.
BEFORE, BLOCK = 'f_before', 'best_block'
OUTPUTS, FEATURES = 'apart_outputs', 'apart_features'
# Steps until 90 % of what the original knows, and of where the reference ends.
PREFIXES = ('steps_', 'steps_reference_')


def is_steps(what):
    """bool: Whether a number counts steps; all others lie in [0, 1]."""
    return what.startswith(PREFIXES[0])


def numbers_of(table):
    """list[str]: Names of the numbers of a table, in its order."""
    return [c[:-5] for c in table if c.endswith('_mean')]


def header(what, score):
    """What a number is called in tables and figures."""
    names = {
        BEFORE: f'{score}_f before',
        BLOCK: 'best block probe',
        OUTPUTS: 'told apart by outputs',
        FEATURES: 'by features'
    }
    for prefix, aim in zip(PREFIXES[::-1], ('of the reference', '')):
        if what.startswith(prefix):
            return f'{what[len(prefix):]}: steps to 90 % {aim}'.rstrip()
    return names.get(what) or f'{score}_f {what.partition("_")[2]}'
