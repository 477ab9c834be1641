"""What governs calls: the stores behind keys, limits, the ledger and the audit log, opened and closed as one."""

from gateway.governance.opening import Governance, open_governance, without_stores
from gateway.governance.refusal import GovernanceRefused

__all__ = ["Governance", "GovernanceRefused", "open_governance", "without_stores"]
