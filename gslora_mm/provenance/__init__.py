"""What was done to a run, written down so that it can be checked later."""
from .chain import CHAIN, Chain
from .record import record_release, record_revert
from .run_recorder import RunRecorder
from .verify import verify_run
from .verify_report import render_verification

__all__ = [
    'CHAIN', 'Chain', 'RunRecorder', 'record_release', 'record_revert',
    'render_verification', 'verify_run'
]
