"""Queries over CSV (in GBK) and Excel, and attempts to read files, write, and exhaust the machine."""

import shutil
from pathlib import Path

import pytest

from assistant.tools.tables import SECONDS, table_tools
from indexes import Index, IndexingError
from indexes.table_files import identifiers, read_tables


@pytest.fixture(scope="module")
def query(tools_index):
    _, tool = table_tools(tools_index)
    return lambda sql: tool.invoke({"sql": sql})


def test_the_list_shows_names_columns_types_and_rows(tools_index):
    listed = table_tools(tools_index)[0].invoke({})
    assert "菜单 (菜单.csv; 3 rows): 名称 VARCHAR, 产地 VARCHAR, 价格_元 DOUBLE, 库存 BIGINT, 编号 VARCHAR" in listed
    assert "龙井 | 杭州 | 128.5 | 12 | 00123" in listed
    assert "sales_2026_Q1 (sales 2026.xlsx, sheet Q1; 2 rows): tea VARCHAR, order_2 BIGINT, day DATE" in listed
    assert "sales_2026_客户" in listed


@pytest.mark.parametrize(
    ("sql", "answer"),
    [
        ("SELECT 名称 FROM 菜单 WHERE 价格_元 > 100 ORDER BY 价格_元", "名称\n龙井\n大红袍"),
        ("select sum(库存) as 总数, round(avg(价格_元), 2) as 均价 from 菜单;", "总数 | 均价\n42 | 178.83"),
        ('SELECT tea, "day" + 1 AS next FROM sales_2026_Q1 WHERE order_2 = 3', "tea | next\nLongjing | 2026-01-06"),
        ("WITH c AS (SELECT 城市 FROM sales_2026_客户) SELECT 名称 FROM 菜单 JOIN c ON 产地 = 城市", "名称\n龙井"),
        ("SELECT count(*) AS n FROM 菜单 WHERE 库存 IS NULL -- 没有库存", "n\n1"),
        ("SELECT 编号 FROM 菜单 WHERE 名称 = '咖啡'", "No row fits."),
        ("FROM 菜单 SELECT 名称 LIMIT 1", "名称\n龙井"),
    ],
)
def test_queries(query, sql, answer):
    assert query(sql) == answer


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT 价格 FROM 菜单", "价格_元 DOUBLE"),
        ("SELECT * FROM menu", "The tables there are: sales_2026_Q1, sales_2026_客户, 菜单"),
        ("SELEC 1", "The query is wrong"),
        ("", "exactly one SELECT"),
        ("SELECT 1; SELECT 2", "exactly one SELECT; this text has 2"),
        ("SELECT 1) TO 'written.csv'; COPY (SELECT 2", "The query is wrong"),
    ],
)
def test_an_error_says_what_there_is(query, sql, reason):
    assert reason in query(sql)
    assert "Traceback" not in query(sql)


def test_attacks_reach_no_file(query, tmp_path, tools_domain):
    inside = tools_domain.documents / "菜单.csv"
    secret = tmp_path / "secret.csv"
    secret.write_text("word\nxyzzy\n", encoding="utf-8")
    out = tmp_path / "out"
    for sql in [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        f"SELECT * FROM read_text('{secret}')",
        f"SELECT * FROM '{secret}'",
        f"SELECT * FROM read_csv('{inside}')",
        f"SELECT content FROM read_blob('{secret}')",
        f"SELECT * FROM query('SELECT * FROM read_text(''{secret}'')')",
        f"SELECT * FROM query_table(['{secret}'])",
        f"SELECT * FROM glob('{tmp_path}/*')",
        f"SELECT * FROM sniff_csv('{secret}')",
        f"SELECT * FROM parquet_scan('{secret}')",
        f"SELECT * FROM read_json('{secret}')",
        "SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')",
        f"WITH x AS (SELECT * FROM read_text('{secret}')) SELECT * FROM x",
        f"COPY 菜单 TO '{out}'",
        f"COPY (SELECT 1) TO '{out}'",
        f"EXPORT DATABASE '{out}'",
        f"ATTACH '{out}'",
        f"ATTACH '{out}' AS x (TYPE sqlite)",
        "INSTALL httpfs",
        "LOAD httpfs",
        f"LOAD '{secret}'",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "RESET enable_external_access",
        f"SET temp_directory = '{out}'",
        "PRAGMA database_list",
        "PRAGMA enable_external_access",
        "DROP TABLE 菜单",
        "DELETE FROM 菜单",
        "UPDATE 菜单 SET 库存 = 0",
        "INSERT INTO 菜单 VALUES (1, 2, 3, 4, 5)",
        "CREATE TABLE t AS SELECT 1",
        "CREATE MACRO m(x) AS x",
        "CREATE SECRET s (TYPE http)",
        "CALL pragma_version()",
        "CHECKPOINT",
        "BEGIN; SELECT 1",
        "EXPLAIN ANALYZE SELECT 1",
        "PREPARE p AS SELECT 1",
        "SELECT getenv('HOME')",
        "SELECT * FROM tools_domain",
        "SELECT * FROM columns",
        "SELECT * FROM arrays",
    ]:
        said = query(sql)
        refused = ("cannot be used", "Only SELECT is allowed", "The query is wrong", "exactly one SELECT")
        assert any(part in said for part in refused), (sql, said)
        assert "xyzzy" not in said
        assert "root:" not in said
    assert list(tmp_path.iterdir()) == [secret]
    assert query("SELECT count(*) AS n FROM 菜单") == "n\n3"


def test_a_variable_of_the_program_is_no_table(query):
    import pandas

    frame = pandas.DataFrame({"secret": ["xyzzy"]})
    assert "The query is wrong" in query("SELECT * FROM frame")
    assert len(frame) == 1


def test_a_query_that_runs_for_ever_is_stopped(query):
    said = query("SELECT count(*) FROM range(10000000000) a, range(1000) b WHERE a.range * b.range % 7 = 3")
    assert f"took more than {SECONDS:g} seconds" in said
    assert query("SELECT 1 AS x") == "x\n1", "the next query works"


def test_results_and_memory_are_bounded(query):
    assert "(only the first 50 rows are shown)" in query("SELECT * FROM range(100000)")
    assert len(query("SELECT repeat('茶', 1000000) AS x")) < 300
    assert len(query("SELECT repeat('x', 190) AS x FROM range(1000)")) < 4200
    said = query("SELECT list(range)::VARCHAR || list(range)::VARCHAR FROM range(200000000)")
    assert "memory" in said or "took more than" in said


def test_a_changed_index_is_loaded_again(tools_domain, tmp_path):
    from assistant.indexing import update_index
    from domain import Domain

    domain = Domain.open(shutil.copytree(tools_domain.path, tmp_path / "copy"))
    with Index.open(domain) as index:
        _, tool = table_tools(index)
        assert tool.invoke({"sql": "SELECT count(*) AS n FROM 菜单"}) == "n\n3"
        (domain.documents / "菜单.csv").write_text("名称,价格\n毛尖,60\n", encoding="utf-8")
        update_index(domain)
        assert tool.invoke({"sql": "SELECT * FROM 菜单"}) == "名称 | 价格\n毛尖 | 60"


def test_damaged_and_linked_files_are_named(tmp_path):
    (tmp_path / "broken.xlsx").write_bytes(b"PK\3\4 not a workbook")
    with pytest.raises(IndexingError, match="is a damaged or protected workbook"):
        read_tables(tmp_path, "broken.xlsx")
    (tmp_path / "link.csv").symlink_to(Path("/etc/passwd"))
    with pytest.raises(IndexingError, match="cannot be opened"):
        read_tables(tmp_path, "link.csv")
    with pytest.raises(IndexingError, match="cannot be opened"):
        read_tables(tmp_path, "absent.csv")


def test_headers_units_and_rows_without_names(tmp_path):
    (tmp_path / "a.csv").write_text(
        "茶叶表\n\n名称,重量,价格\n,克,元\n龙井,50,12.5\n普洱,357,88\n毛尖,100,9\n", encoding="utf-8"
    )
    (table,) = read_tables(tmp_path, "a.csv")
    assert table.columns == ["名称", "重量 (克)", "价格 (元)"]
    assert table.rows[0] == ["龙井", "50", "12.5"]


def test_identifiers_need_no_quotation_marks():
    names = ["价格（元）", "价格(元)", "2026", "", "select", "a b", "A-B"]
    assert identifiers(names, ["select"]) == ["价格_元", "价格_元_2", "_2026", "column", "select_2", "a_b", "A_B_2"]
