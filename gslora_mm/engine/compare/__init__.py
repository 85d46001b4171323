from .comparison import Comparison
from .config import ComparisonSettings, read_comparison
from .method_file import MethodFile, read_method
from .search import Search

__all__ = [
    'Comparison', 'ComparisonSettings', 'MethodFile', 'Search',
    'read_comparison', 'read_method'
]
