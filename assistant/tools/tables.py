"""Tools that list and query the tables of the documents with SQL: DuckDB, read-only and without access to files.

The tables of CSV files and workbooks in the index are copied into a database in memory. After that, DuckDB gets no
access to files, the network or extensions, and its configuration is locked; only one SELECT is executed at a time, with
limits on time, memory, rows and cells.
"""

import re
import threading
from collections.abc import Sequence
from datetime import date
from pathlib import PurePosixPath
from typing import Annotated

import duckdb
import pyarrow as pa
from langchain_core.tools import BaseTool, ToolException
from pydantic import Field

from assistant.tools.results import bounded, make_tool
from indexes import Index, IndexingError
from indexes.table_files import TableRows, identifiers, is_table_file, read_tables

SECONDS = 10.0
ROWS = 50
CELL_CHARACTERS = 200
MEMORY = "512MB"
FIRST_ROWS = 2
"""Rows that list_tables shows of each table. Chosen."""
SETTINGS = (
    "SET threads = 2",
    f"SET memory_limit = '{MEMORY}'",
    "SET temp_directory = ''",
    "SET python_enable_replacements = false",  # else a table name may be a variable of this program
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)
_WHOLE = re.compile(r"-?(?:0|[1-9]\d{0,17})")
_DECIMAL = re.compile(r"-?(?:(?:0|[1-9]\d*)(?:\.\d+)?|[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?)(?:[eE][-+]?\d+)?")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class Tables:
    """The tables of a domain's documents in a database in memory; loaded again when the index changes."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._lock = threading.Lock()
        self._generation = ""
        self._database = duckdb.connect(":memory:")
        self.described: dict[str, str] = {}
        """For each table, its file, columns and types, for the model."""
        self.unread: list[str] = []
        """Sentences about files that could not be read."""

    def load(self) -> duckdb.DuckDBPyConnection:
        """A connection to the database, which is rebuilt if the documents changed."""
        with self._lock:
            if self._generation != (generation := self.index.generation):
                self._database, self.described, self.unread = self._read()
                self._generation = generation
            return self._database.cursor()

    def _read(self) -> tuple[duckdb.DuckDBPyConnection, dict[str, str], list[str]]:
        database = duckdb.connect(":memory:")
        found: list[tuple[str, str, TableRows]] = []
        unread = []
        for document in filter(is_table_file, self.index.documents()):
            try:
                tables = read_tables(self.index.domain.documents, document)
            except IndexingError as error:
                unread.append(f"{document} {error}.")
                continue
            stem = PurePosixPath(document).stem
            found += [(f"{stem} {one.sheet}" if len(tables) > 1 else stem, document, one) for one in tables]
        reserved = _keywords(database)
        described = {}
        for name, (_, document, table) in zip(identifiers([one[0] for one in found], reserved), found, strict=True):
            columns = identifiers(table.columns, reserved)
            arrays = [_typed([row[at] for row in table.rows]) for at in range(len(columns))]
            database.register("loaded", pa.Table.from_arrays(arrays, names=columns))
            database.execute(f'CREATE TABLE "{name}" AS SELECT * FROM loaded')
            database.unregister("loaded")
            types = database.execute(f'DESCRIBE "{name}"').fetchall()
            sheet = f", sheet {table.sheet}" if table.sheet else ""
            listed = ", ".join(f"{column} {kind}" for column, kind, *_ in types)
            described[name] = f"{name} ({document}{sheet}; {len(table.rows)} rows): {listed}"
        for setting in SETTINGS:
            database.execute(setting)
        return database, described, unread


def table_tools(index: Index) -> list[BaseTool]:
    """``list_tables`` and ``query_table`` over one database."""
    tables = Tables(index)

    def list_tables() -> str:
        """List the tables of the CSV and Excel documents: names, columns with types, and their first rows."""
        database = tables.load()
        if not tables.described:
            raise ToolException(" ".join(["The documents have no CSV or Excel tables.", *tables.unread]))
        parts = []
        for name, text in tables.described.items():
            _, rows = _select(database, f'SELECT * FROM "{name}" LIMIT {FIRST_ROWS}')
            parts.append("\n".join([text, *map(_line, rows)]))
        return bounded("\n\n".join([*parts, *tables.unread]))

    def query_table(
        sql: Annotated[str, Field(max_length=2000, description="One SELECT, for example SELECT name FROM tea;")],
    ) -> str:
        """Query the tables with one SQL SELECT (DuckDB). Call list_tables first to see the tables and columns."""
        database = tables.load()
        try:
            _check(database, sql)
            names, rows = _select(database, sql)
        except duckdb.Error as error:
            raise ToolException(bounded(_explained(error, sql, tables), 1500)) from None
        more = f"\n(only the first {ROWS} rows are shown)" if len(rows) > ROWS else ""
        return bounded("\n".join([_line(names), *map(_line, rows[:ROWS])])) + more if rows else "No row fits."

    return [make_tool(list_tables), make_tool(query_table)]


def _check(database: duckdb.DuckDBPyConnection, sql: str) -> None:
    statements = database.extract_statements(sql)
    if len(statements) != 1:
        raise ToolException(f"Write exactly one SELECT; this text has {len(statements)} statements.")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise ToolException(f"Only SELECT is allowed, not {statements[0].type.name}; the tables are read-only.")


def _select(database: duckdb.DuckDBPyConnection, sql: str) -> tuple[list[str], list[tuple[str | None, ...]]]:
    """The column names and the first rows of a query, with every cell as a short text."""
    inner = sql.strip().rstrip(";")
    short = f"SELECT left(COLUMNS(*)::VARCHAR, {CELL_CHARACTERS}) FROM (\n{inner}\n) LIMIT {ROWS + 1}"
    timer = threading.Timer(SECONDS, database.interrupt)
    timer.start()
    try:
        result = database.execute(short)
        return [column[0] for column in result.description or ()], result.fetchall()
    finally:
        timer.cancel()


def _explained(error: duckdb.Error, sql: str, tables: Tables) -> str:
    """One sentence for an error of DuckDB, followed by the tables and columns that there are."""
    if isinstance(error, duckdb.InterruptException):
        return f"The query took more than {SECONDS:g} seconds and was stopped; ask for less."
    if isinstance(error, duckdb.OutOfMemoryException):
        return f"The query needs more than {MEMORY} of memory; ask for less."
    if isinstance(error, duckdb.PermissionException):
        return "Files, the network and extensions cannot be used in a query; only the tables of list_tables."
    said = re.sub(r"^[\w ]+ Error: ", "", str(error).splitlines()[0])
    used = [text for name, text in tables.described.items() if re.search(rf"\b{re.escape(name)}\b", sql, re.I)]
    there = "\n".join(used) if used else ", ".join(tables.described) or "none"
    return f"The query is wrong: {said}\nThe tables{' and columns' if used else ''} there are: {there}"


def _line(cells: Sequence[str | None]) -> str:
    return " | ".join("" if cell is None else " ".join(cell.split()) for cell in cells)


def _keywords(database: duckdb.DuckDBPyConnection) -> list[str]:
    rows = database.execute("SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category = 'reserved'").fetchall()
    return [word for (word,) in rows]


def _typed(cells: Sequence[str]) -> pa.Array:
    """A column as whole numbers, decimals or dates if all its cells are; otherwise as text. 02139 stays a text."""
    values = [cell or None for cell in cells]
    filled = [cell for cell in cells if cell]
    if filled and all(map(_WHOLE.fullmatch, filled)):
        return pa.array([None if cell is None else int(cell) for cell in values], pa.int64())
    if filled and all(map(_DECIMAL.fullmatch, filled)):
        return pa.array([None if cell is None else float(cell.replace(",", "")) for cell in values], pa.float64())
    if filled and all(map(_DAY.fullmatch, filled)):
        try:
            return pa.array([None if cell is None else date.fromisoformat(cell) for cell in values], pa.date32())
        except ValueError:  # 2026-02-31
            return pa.array(values, pa.string())
    return pa.array(values, pa.string())
