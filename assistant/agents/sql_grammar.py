"""A grammar of SQL queries over given tables: the model can only name tables and columns that exist.

A small model invents columns (具体准确率 for 准确率); within this grammar it cannot. It covers one table, conditions,
groups, aggregates, order and limit; no joins.
"""

import json
from collections.abc import Mapping, Sequence

from base_models.constraints import lark_grammar

RULES = """
start: "SELECT " ({alternatives})
aggregate: "COUNT" | "SUM" | "AVG" | "MIN" | "MAX"
compared: " = " | " != " | " > " | " < " | " >= " | " <= " | " LIKE "
value: NUMBER | TEXT
NUMBER: /-?[0-9]{{1,12}}(\\.[0-9]{{1,6}})?/
TEXT: /'[^'\\n;]{{1,60}}'/
"""
TABLE = """
query{n}: what{n} ", " what{n} ", " what{n} from{n} | what{n} ", " what{n} from{n} | what{n} from{n} | "*" from{n}
what{n}: "COUNT(*)" | "COUNT(DISTINCT " column{n} ")" | aggregate "(" column{n} ")" | column{n}
from{n}: " FROM {table}" (" WHERE " test{n} ((" AND " | " OR ") test{n}){{0,3}})? (" GROUP BY " column{n})? order{n}?
order{n}: " ORDER BY " (column{n} | aggregate "(" column{n} ")" | "COUNT(*)") (" DESC" | " ASC")? (" LIMIT " NUMBER)?
test{n}: column{n} compared (value | most{n})
most{n}: "(SELECT " aggregate "(" column{n} ") FROM {table})"
column{n}: {columns}
"""


def sql_grammar(tables: Mapping[str, Sequence[str]]) -> str:
    """The grammar of one SELECT over one of these tables, given the columns of each, with names as ``list_tables``
    writes them: no name needs quotation marks."""
    rules = RULES.format(alternatives=" | ".join(f"query{number}" for number in range(len(tables))))
    for number, (table, columns) in enumerate(tables.items()):
        listed = " | ".join(json.dumps(column, ensure_ascii=False) for column in columns)
        rules += TABLE.format(n=number, table=table, columns=listed)
    return lark_grammar(rules)
