"""Records of a directory, as tests need them: complete, and different where a test says so."""

from gateway.stores.directory import ServiceAccount, Team, Tenant, User, VirtualKey


def tenant(label: str = "acme", /, **fields) -> Tenant:
    return Tenant(**{"id": label, "name": label, "created_at": 1.0, **fields})


def team(label: str = "search", /, **fields) -> Team:
    return Team(**{"id": f"team_{label}", "tenant": "default", "name": label, "created_at": 1.0, **fields})


def user(label: str = "ada", /, **fields) -> User:
    return User(**{"id": f"user_{label}", "tenant": "default", "name": label, "created_at": 1.0, **fields})


def service_account(label: str = "robot", /, **fields) -> ServiceAccount:
    return ServiceAccount(**{"id": f"sa_{label}", "tenant": "default", "name": label, "created_at": 1.0, **fields})


def key(label: str = "one", /, **fields) -> VirtualKey:
    given = {"id": f"key_{label}", "tenant": "default", "name": label, "prefix": "sk-sg-abc", "created_at": 1.0}
    return VirtualKey(**{**given, "digest": f"digest of {label}".encode(), **fields})


MADE = {"teams": team, "users": user, "service_accounts": service_account, "keys": key}
