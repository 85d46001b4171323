from .config import RecoverySettings, read_recovery
from .head_recovery import HeadRecovery
from .prototype_rows import PrototypeRows
from .recovery import Recovery
from .targets import Target

__all__ = [
    'HeadRecovery', 'PrototypeRows', 'Recovery', 'RecoverySettings', 'Target',
    'read_recovery'
]
