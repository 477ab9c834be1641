"""Why a server does not start: one error for all that can be wrong with its stores."""


class GovernanceRefused(Exception):
    """The stores cannot be used as they are; the message is for the operator."""
