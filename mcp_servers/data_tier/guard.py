"""What of SQL may be asked: one SELECT, made of parts that are known to be harmless, over listed tables.

A query is parsed, checked part by part against what is allowed (never against what is forbidden), and written anew: what the database
gets is not what came, so that comments, encodings and whatever else two parsers may read differently are gone. In the written query each table
stands as a subquery of its listed columns, masked where they are: nothing else of it can be named, whatever the query says.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from mcp_servers.data_tier.settings import Mask, ParameterType, Table
from mcp_servers.verbs import Refused

MOST_PARTS: Final = 2000
MOST_DEPTH: Final = 60

_STRUCTURE: Final = frozenset({
    exp.Select, exp.Union, exp.Intersect, exp.Except, exp.Subquery, exp.With, exp.CTE, exp.TableAlias, exp.From, exp.Join, exp.Where, exp.Group,
    exp.Having, exp.Order, exp.Ordered, exp.Limit, exp.Offset, exp.Distinct, exp.Table, exp.Column, exp.Identifier, exp.Star, exp.Alias, exp.Paren,
    exp.Tuple, exp.Literal, exp.Null, exp.Boolean, exp.Interval, exp.Var, exp.Window, exp.WindowSpec, exp.Filter, exp.Placeholder,
})  # fmt: skip
_OPERATORS: Final = frozenset({
    exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.Between, exp.Like, exp.ILike, exp.Escape,
    exp.Exists, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg, exp.DPipe, exp.Case, exp.If, exp.NullSafeEQ, exp.NullSafeNEQ,
})  # fmt: skip
_FUNCTIONS: Final = frozenset({
    exp.Abs, exp.AtTimeZone, exp.Avg, exp.Cast, exp.Ceil, exp.Coalesce, exp.Concat, exp.Count, exp.CurrentDate, exp.CurrentTimestamp, exp.DataType, exp.Date,
    exp.DenseRank, exp.Extract, exp.FirstValue, exp.Floor, exp.Greatest, exp.GroupConcat, exp.Lag, exp.LastValue, exp.Lead, exp.Least, exp.Left, exp.Length,
    exp.LogicalAnd, exp.LogicalOr, exp.Lower, exp.Max, exp.Min, exp.Nullif, exp.PercentileCont, exp.PercentileDisc, exp.Rank, exp.Replace, exp.Right,
    exp.Round, exp.RowNumber, exp.Stddev, exp.StrPosition, exp.Substring, exp.Sum, exp.TimeToStr, exp.TimestampTrunc, exp.Trim, exp.TsOrDsToTimestamp,
    exp.Upper, exp.WithinGroup,
})  # fmt: skip
_BY_NAME: Final = {
    "sqlite": frozenset({"date", "datetime", "julianday", "time", "total", "unixepoch"}),
    "postgres": frozenset({"age"}),
}
"""Functions that the parser does not know by a class of their own."""
ALLOWED: Final = _STRUCTURE | _OPERATORS | _FUNCTIONS
_TYPES: Final = frozenset(
    exp.DataType.Type[name]
    for name in (
        "BIGINT", "BOOLEAN", "DATE", "DECIMAL", "DOUBLE", "FLOAT", "INT", "INTERVAL", "SMALLINT", "TEXT", "TIME", "TIMESTAMP", "TIMESTAMPTZ", "VARCHAR",
    )
)  # fmt: skip
_NAME: Final = re.compile(r"[^\W\d]\w*")
_WORD: Final = re.compile(r"[A-Za-z]+|CURRENT ROW|NO OTHERS")
_WORDS: Final = re.compile(r"[A-Za-z]+( [A-Za-z]+){0,3}")
_NUMBER: Final = re.compile(r"(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_TABLE_PARTS: Final = frozenset({"this", "db", "alias", "joins"})
_PARAMETER: Final[dict[ParameterType, str]] = {
    "boolean": "BOOLEAN",
    "date": "DATE",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "string": "TEXT",
    "timestamp": "TIMESTAMP",
}


def rewrite(
    sql: str,
    *,
    dialect: str,
    schema: str,
    tables: Mapping[str, Table],
    rows: int,
    parameters: Mapping[str, ParameterType] | None = None,
) -> str:
    """Give the query that the database is asked, at most `rows` rows of it. `dialect` is sqlite or postgres.

    Parameters are named in the order of `parameters`: `:name` on SQLite, `$1` and so on in PostgreSQL. Raises Refused.
    """
    query = _parse(sql, dialect)
    _check(query, _BY_NAME[dialect])
    if dialect == "postgres":
        for name in query.find_all(exp.Identifier):
            # As PostgreSQL reads what has no quotes. Quoted, no name is a keyword: `user` is a column here, and nothing else. (SQLite would
            # read a quoted name that it does not know as a text.)
            name.replace(exp.to_identifier(name.this if name.quoted else name.this.lower(), quoted=True))
    _Tables(schema, tables, folds=dialect == "sqlite").put_in(query)
    _bind(query, dialect, parameters or {})
    asked = exp.select("*").from_(exp.Subquery(this=query, alias=exp.TableAlias(this=_quoted("asked")))).limit(rows)
    return asked.sql(dialect=dialect, comments=False)


def _parse(sql: str, dialect: str) -> exp.Expr:
    if any(ord(sign) < 32 and sign not in "\t\n\r" for sign in sql):
        msg = "The query has control characters in it."
        raise Refused(msg)
    try:
        found = [each for each in sqlglot.parse(sql, read=dialect) if each is not None]
    except SqlglotError as error:
        first = str(error).splitlines()[0][:200] if str(error) else "it cannot be read"
        msg = f"This is not SQL that can be read: {first}"
        raise Refused(msg) from None
    except RecursionError:
        msg = "The query is too deeply nested."
        raise Refused(msg) from None
    if len(found) != 1:
        msg = f"One query is asked at a time; this is {len(found)}."
        raise Refused(msg)
    return found[0]


def _check(query: exp.Expr, by_name: Collection[str]) -> None:
    """Look at every part. Raises Refused."""
    if not isinstance(query, exp.Query):
        msg = "Only a SELECT can be asked: this database is read, and nothing is changed."
        raise Refused(msg)
    for count, part in enumerate(query.walk()):
        if count >= MOST_PARTS or part.depth > MOST_DEPTH:
            msg = "The query is too large: ask something simpler."
            raise Refused(msg)
        if type(part) not in ALLOWED and not (isinstance(part, exp.Anonymous) and str(part.this).lower() in by_name):
            msg = f"{_name(part)} cannot be used here."
            raise Refused(msg)
        _check_bare(part)
        if isinstance(part, exp.Select) and not part.expressions:
            msg = "The query asks for nothing."
            raise Refused(msg)
        if isinstance(part, exp.With) and (part.parent is not query or part.args.get("recursive")):
            msg = "WITH stands at the beginning of the query, and is not recursive."
            raise Refused(msg)
        if isinstance(part, exp.DataType) and part.this not in _TYPES:
            msg = f"Nothing can be made a {part.sql()[:60]} here."
            raise Refused(msg)
        if isinstance(part, exp.TableAlias) and part.args.get("columns"):
            msg = f"{part.sql()[:100]}: columns keep their names here."
            raise Refused(msg)
        if isinstance(part, exp.Column) and (part.args.get("db") or part.args.get("catalog")):
            msg = f"{part.sql()[:100]}: write the table's name or alias before a column, and nothing more."
            raise Refused(msg)


def _check_bare(part: exp.Expr) -> None:
    """Look at what is written as it came, without quotes: the parser makes words of quoted names and texts, too. Raises Refused."""
    if isinstance(part, exp.Identifier):
        bare = part.quoted or _NAME.fullmatch(part.name) is not None
    elif isinstance(part, exp.Literal):
        bare = part.is_string or _NUMBER.fullmatch(part.name) is not None
    elif isinstance(part, exp.Var):
        bare = _WORD.fullmatch(part.name) is not None
    elif isinstance(part, exp.Interval):
        bare = isinstance(part.this, exp.Literal)
    elif isinstance(part, exp.Anonymous | exp.Placeholder):
        bare = True  # held against lists of names
    else:
        bare = all(_WORDS.fullmatch(value) for value in part.args.values() if isinstance(value, str) and value)
    if not bare:
        msg = f"{str(part.this)[:60]!r} cannot be read in this place."
        raise Refused(msg)


def _name(part: exp.Expr) -> str:
    if isinstance(part, exp.Anonymous):
        return f"The function {str(part.this)[:60]}"
    if isinstance(part, exp.Func):
        return f"The function {part.sql_name()}"
    return part.key.upper().replace("_", " ")


class _Tables:
    """Puts listed columns in the place of tables."""

    def __init__(self, schema: str, tables: Mapping[str, Table], *, folds: bool) -> None:
        self._schema = schema
        self._folds = folds
        self._tables = {name.lower(): (name, table) for name, table in tables.items()}

    def put_in(self, query: exp.Expr) -> None:
        """Put a subquery in the place of every table. Raises Refused."""
        known: set[str] = set()
        head = query.args.get("with_") or query.args.get("with")
        for cte in head.expressions if head is not None else ():
            name = cte.alias.lower()
            if name in self._tables or self._own(cte.alias) in known:
                msg = f"WITH {cte.alias[:60]}: the name is taken, choose another."
                raise Refused(msg)
            # What stands before its own name is no other query's yet: there the name would be a table's.
            self._replace(cte.this, known)
            known.add(self._own(cte.alias))
        for part in [each for each in query.find_all(exp.Table) if not _within(each, head)]:
            self._put(part, known)

    def _own(self, name: str) -> str:
        # PostgreSQL tells "A" from a: what only looks like a name from WITH would be a table of the database.
        return name.lower() if self._folds else name

    def _replace(self, query: exp.Expr, known: set[str]) -> None:
        for part in list(query.find_all(exp.Table)):
            self._put(part, known)

    def _put(self, part: exp.Table, known: set[str]) -> None:
        unusual = [name for name, value in part.args.items() if value and name not in _TABLE_PARTS]
        if unusual or not isinstance(part.this, exp.Identifier):
            msg = f"{part.sql()[:100]}: only tables can be read from."
            raise Refused(msg)
        name, alias, joins = part.name.lower(), part.alias, part.args.get("joins")
        if self._own(part.name) in known and not part.args.get("db"):
            return
        if part.args.get("db") and part.text("db").lower() != self._schema.lower():
            msg = f"There is no schema {part.text('db')[:60]!r} here."
            raise Refused(msg)
        if name not in self._tables:
            msg = f"There is no table {part.name[:60]!r} here. There are: {', '.join(sorted(self._tables))[:500]}."
            raise Refused(msg)
        real, table = self._tables[name]
        columns = [_column(column, table.mask.get(column)) for column in table.columns]
        inner = exp.select(*columns).from_(exp.Table(this=_quoted(real), db=_quoted(self._schema)))
        called = exp.TableAlias(this=_quoted(alias or part.name))
        part.replace(exp.Subquery(this=inner, alias=called, joins=joins))


def _within(part: exp.Expr, head: exp.Expr | None) -> bool:
    above: exp.Expr | None = part
    while above is not None:
        if above is head:
            return True
        above = above.parent
    return False


def _quoted(name: str) -> exp.Identifier:
    return exp.to_identifier(name, quoted=True)


def _column(name: str, mask: Mask | None) -> exp.Expr:
    """Give a column as it may be seen, under its own name."""
    column: exp.Expr = exp.Column(this=_quoted(name))
    if mask is None:
        return column
    if mask == "null":
        shown: exp.Expr = exp.Null()
    elif mask == "hide":
        shown = exp.Literal.string("***")
    else:
        text = exp.Cast(this=column, to=exp.DataType.build("text"))
        start = exp.Sub(this=exp.Length(this=text.copy()), expression=exp.Literal.number(3))
        # Of what is that short itself, nothing is shown.
        tail = exp.Substring(this=text.copy(), start=start)
        long = exp.GT(this=exp.Length(this=text.copy()), expression=exp.Literal.number(8))
        some = exp.DPipe(this=exp.Literal.string("***"), expression=tail)
        shown = exp.Case(ifs=[exp.If(this=long, true=some)], default=exp.Literal.string("***"))
    return exp.alias_(shown, _quoted(name))


def _bind(query: exp.Expr, dialect: str, parameters: Mapping[str, ParameterType]) -> None:
    """Write parameters as the database takes them. Raises Refused."""
    order = {name: number for number, name in enumerate(parameters, 1)}
    for part in list(query.find_all(exp.Placeholder)):
        name = part.name
        if name not in order:
            msg = (
                f"There is no parameter {name[:60]!r}."
                if name
                else "A parameter needs a name, and is of saved queries only."
            )
            raise Refused(msg)
        if dialect == "postgres":
            numbered = exp.Parameter(this=exp.Literal.number(order[name]))
            part.replace(exp.Cast(this=numbered, to=exp.DataType.build(_PARAMETER[parameters[name]])))
