"""What leaves the house: releases, and the ways back."""
from .export import export_release, list_holders
from .holders import find_holders, holder_table
from .peft_layout import from_peft, to_peft
from .precision import PRECISIONS, Precision, precision_file
from .revert import drop_after, later_folders, revert_to

__all__ = [
    'PRECISIONS', 'Precision', 'drop_after', 'export_release', 'find_holders',
    'from_peft', 'holder_table', 'later_folders', 'list_holders',
    'precision_file', 'revert_to', 'to_peft'
]
