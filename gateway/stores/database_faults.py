"""What a driver's error means for us. Nothing of a value, an address or a password gets into a message."""

from __future__ import annotations

import re
import sqlite3
from typing import Final

import sqlalchemy.exc

from gateway.core.errors import Conflict, InternalError, InvalidRequest, StoreUnavailable, SwitchgearError

DRIVER_ERRORS: Final = (sqlalchemy.exc.SQLAlchemyError, OSError)
"""What the drivers raise: a time limit of asyncpg is a TimeoutError, which is an OSError."""

_WRONG_VALUE: Final = "22"
_SERIALIZATION: Final = "40"
_SYNTAX_OR_ACCESS: Final = "42"
_RAISED_BY_TRIGGER: Final = "P0"
_UNIQUE: Final = "23505"
_SQLITE_UNIQUE: Final = re.compile(r"UNIQUE constraint failed: .*?\.(\w+)$")
_FORBIDDEN: Final = "What is stored forbids this: it refers to something that is not there, or is itself referred to."
_NO_PRIVILEGE: Final = "42501"
_CANCELLED_BY_TIME: Final = "57014"


def translate(error: BaseException, timeout: float) -> SwitchgearError:
    """Say in our words what happened. `timeout` is the seconds that were allowed."""
    state = _state(error)
    if isinstance(error, sqlalchemy.exc.IntegrityError):
        return _conflict(error)
    if state[:2] == _RAISED_BY_TRIGGER:
        return Conflict(_FORBIDDEN)
    if isinstance(error, sqlalchemy.exc.DataError) or state[:2] == _WRONG_VALUE:
        return InvalidRequest("The database cannot keep a value of this request.")
    if _is_ours(error, state):
        return InternalError()
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return StoreUnavailable("Every connection to the database is busy.", retry_after=1.0)
    if isinstance(error, TimeoutError) or state == _CANCELLED_BY_TIME:
        return StoreUnavailable(f"The database did not answer within {timeout:g} s.", retry_after=1.0)
    if state[:2] == _SERIALIZATION:
        return StoreUnavailable("The database gave way to another transaction.", retry_after=1.0)
    return StoreUnavailable("The database cannot be reached or used now.", retry_after=1.0)


def reason(error: BaseException) -> str:
    """Say for the log and for health what a driver's error was: its type, SQLSTATE, and the first line of its words."""
    cause = driver_error(error)
    words = str(cause).partition("\n")[0][:200]
    state = _state(error)
    return " ".join(filter(None, (type(cause).__name__, f"({state})" if state else "", words)))


def driver_error(error: BaseException) -> BaseException:
    """Return what the driver itself raised."""
    if isinstance(error, sqlalchemy.exc.DBAPIError) and error.orig is not None:
        return error.orig.__cause__ or error.orig
    return error


def loses_connection(error: BaseException) -> bool:
    """Whether the store itself is at fault, and not one statement or a busy moment."""
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return False
    return not isinstance(error, sqlalchemy.exc.DBAPIError) or _state(error)[:2] != _SERIALIZATION


def _conflict(error: sqlalchemy.exc.IntegrityError) -> Conflict:
    column = _unique_column(error)
    if column:
        return Conflict(f"There is one with this {column} already.", param=column)
    return Conflict(_FORBIDDEN)


def _unique_column(error: sqlalchemy.exc.IntegrityError) -> str | None:
    """The column whose value is taken, the last where several must be unique together; None for another constraint."""
    cause = getattr(error.orig, "__cause__", None)
    if _state(error) == _UNIQUE:
        constraint = str(getattr(cause, "constraint_name", ""))
        columns = constraint.removeprefix(f"uq_{getattr(cause, 'table_name', '')}_").removeprefix("tenant_")
        return "id" if constraint.startswith("pk_") else columns
    said = _SQLITE_UNIQUE.match(str(error.orig))
    return said[1] if said else None


def _state(error: BaseException) -> str:
    """The SQLSTATE of a PostgreSQL error, wherever in the chain it is; empty for others."""
    original = getattr(error, "orig", None) or error
    return str(getattr(original, "sqlstate", None) or "")


def _is_ours(error: BaseException, state: str) -> bool:
    """A statement that no database takes, or a wrong use of the driver: a bug."""
    if state:
        return state[:2] == _SYNTAX_OR_ACCESS and state != _NO_PRIVILEGE
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        wrong = getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
        return wrong or isinstance(error, sqlalchemy.exc.ProgrammingError)
    return isinstance(error, sqlalchemy.exc.SQLAlchemyError) and not isinstance(error, sqlalchemy.exc.TimeoutError)
