from .config import read_study
from .grid import Axis, Cell, Grid
from .jobs import Preparation, Run
from .plan import plan_runs
from .queue import JobQueue
from .study import Study

__all__ = [
    'Axis', 'Cell', 'Grid', 'JobQueue', 'Preparation', 'Run', 'Study',
    'plan_runs', 'read_study'
]
