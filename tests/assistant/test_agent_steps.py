"""Which tool comes next, what its arguments can be, and that a query of a random model names only what exists."""

import re
from pathlib import Path

import pytest
from langchain_core.messages import ToolMessage

from assistant.agents.arguments import fixed_arguments, written_arguments
from assistant.agents.next_step import asks_a_table, is_arithmetic, next_tool, numbers_in
from assistant.agents.sql_grammar import sql_grammar
from assistant.agents.tool_agent import with_results
from assistant.answering.pipeline import Asked, Finished, Found
from assistant.models.chat_model import LocalChatModel
from assistant.tools.calculator import calculator

TABLES = {"runs": ["method", "memory_gb", "minutes"], "茶_价格": ["名称", "价格_元", "c2026"]}
TOOLS = {"search_documents", "calculator", "query_table", "list_tables", "days_between", "add_days"}


@pytest.mark.parametrize(
    ("question", "tool"),
    [
        ("How many levels does nf4 have?", "search_documents"),
        ("GPT-3 的检查点有多大?", "search_documents"),
        ("Which 4-bit type is the default?", "search_documents"),
        ("How many parameters does a rank-8 LoRA on a 4096x4096 matrix add?", "search_documents"),
        ("What is 12 % of 250?", "calculator"),
        ("(28 + 4) * 4096 等于多少？", "calculator"),
        ("请算一下 15 乘以 7 是多少", "calculator"),
        ("In the table runs, which method needed the least memory?", "query_table"),
        ("表“茶_价格”里最贵的是哪种茶？", "query_table"),
        ("In the table, what is the largest memory gb?", "query_table"),
        ("How does a run end?", "search_documents"),
        ("How many days are between 2026-02-20 and 2026-03-05?", "days_between"),
        ("2026年2月20日之后 30 天是哪一天？", "add_days"),
        ("What day is 2026-03-05?", "search_documents"),
        ("How many days of leave are there between 2026-01-01 and 2026-12-31?", "search_documents"),
        ("2026-01-01 到 2026-12-31 一共有多少天年假？发放几次奖金？", "search_documents"),
        ("怎样进行名称规范的训练?", "search_documents"),
    ],
)
def test_the_first_tool_is_the_one_that_can_help(question: str, tool: str) -> None:
    assert next_tool(question, [], TOOLS, TABLES) == tool


def test_a_tool_that_is_off_is_not_offered() -> None:
    assert next_tool("What is 2 + 2?", [], {"search_documents"}, {}) == "search_documents"
    assert next_tool("What is 2 + 2?", [], set(), {}) == ""


def result(name: str, text: str = "1", **fields: object) -> ToolMessage:
    return ToolMessage(text, tool_call_id="1", name=name, **fields)


def test_what_comes_after_a_result() -> None:
    question = "With alpha 32 and rank 8, by which factor is LoRA scaled?"
    answered, refused = (
        result("search_documents", artifact=Found(Asked(question), [], [], outcome))
        for outcome in ("answered", "refused")
    )
    assert next_tool(question, [answered], TOOLS, TABLES) == "calculator"
    assert next_tool(question, [refused], TOOLS, TABLES) == ""
    assert next_tool(question, [answered, result("calculator")], TOOLS, TABLES) == ""
    assert next_tool("What is alpha?", [answered], TOOLS, TABLES) == ""
    assert next_tool("Which is better, rank 8 or rank 16?", [answered], TOOLS, TABLES) == ""
    wrong = result("query_table", "The query is wrong.", status="error")
    assert next_tool("表 runs?", [wrong], TOOLS, TABLES) == "query_table"
    assert next_tool("表 runs?", [wrong, wrong], TOOLS, TABLES) == "search_documents"
    assert next_tool("表 runs?", [result("query_table", "No row fits.")] * 2, TOOLS, TABLES) == "search_documents"
    assert next_tool("表 runs?", [result("query_table", "method\nia3")], TOOLS, TABLES) == ""


@pytest.mark.parametrize(
    ("question", "numbers"),
    [
        ("A rank-8 LoRA on a 4096 × 4096 matrix", ["8", "4096", "4096"]),
        ("秩为16的 LoRA，nf4，GPT-3，4-bit", ["16"]),
        ("1,200 samples at 2.5 each on 2026-03-05", ["1200", "2.5"]),
        ("7B or 7 billion?", ["7"]),
    ],
)
def test_the_numbers_of_a_question(question: str, numbers: list[str]) -> None:
    assert numbers_in(question) == numbers


def test_arithmetic_has_nothing_to_look_up() -> None:
    assert is_arithmetic("What is 3217 * 2309?")
    assert not is_arithmetic("秩为 16 的 LoRA 加在 4096×4096 的矩阵上，会增加多少参数？")
    assert not is_arithmetic("2026-02-20")
    assert not asks_a_table("How does a run end?", TABLES)


def test_dates_and_days_are_read_from_the_question() -> None:
    assert fixed_arguments("days_between", "2026-02-20 到 2026年3月5日有几天?") == {
        "first": "2026-02-20",
        "second": "2026年3月5日",
    }
    assert fixed_arguments("add_days", "Which date is 30 days before 2026-03-05?") == {
        "start": "2026-03-05",
        "days": -30,
    }
    assert fixed_arguments("calculator", "1 + 1") is None


@pytest.fixture(scope="module")
def random_model(tiny_folder: Path) -> LocalChatModel:
    return LocalChatModel(model=str(tiny_folder), engine="transformers", temperature=1.0)


@pytest.mark.parametrize("seed", range(4))
def test_an_expression_has_only_the_numbers_of_the_question(random_model: LocalChatModel, seed: int) -> None:
    wanted = written_arguments("calculator", "单卡批大小 2，累积 8 步，4 张卡?", None, "", {}, [])
    said = random_model.invoke(wanted.messages, grammar=wanted.grammar, max_tokens=60, seed=seed).text
    assert set(re.findall(r"\d+", said)) <= {"2", "8", "4"}
    assert re.fullmatch(r"[-+*/()\d ]+", said)
    if said.count("(") == said.count(")") and not said.endswith(tuple("+-*/ ")):  # not cut off
        assert "is not an arithmetic expression" not in calculator.invoke(wanted.read(said))


@pytest.mark.parametrize("seed", range(4))
def test_a_query_names_only_tables_and_columns_that_exist(random_model: LocalChatModel, seed: int) -> None:
    import duckdb

    database = duckdb.connect()
    database.execute("CREATE TABLE runs (method VARCHAR, memory_gb DOUBLE, minutes BIGINT)")
    database.execute("CREATE TABLE 茶_价格 (名称 VARCHAR, 价格_元 DOUBLE, c2026 DOUBLE)")
    said = random_model.invoke("Which?", grammar=sql_grammar(TABLES), max_tokens=300, seed=seed).text
    named = set(re.findall(r"\b[a-z_]+\b(?![(])|c2026|[\u4e00-\u9fff_]+", re.sub(r"'[^']*'?", "", said)))
    assert named <= {"runs", "method", "memory_gb", "minutes", "茶_价格", "名称", "价格_元", "c2026"}
    try:
        database.execute(said)
    except duckdb.CatalogException as error:
        pytest.fail(f"{said}: {error}")
    except (duckdb.BinderException, duckdb.ParserException, duckdb.ConversionException):
        assert len(said) > 10  # a comparison of a text with a number, a missing group, or cut off at the last token


def test_what_was_worked_out_stands_first_and_wrong_words_about_it_are_left_out() -> None:
    right = with_results(Finished("That is 64. [1]", "That is 64."), ["2 * 8 * 4 = 64"], ["That is 64."])
    assert right.text == "2 * 8 * 4 = 64\n\nThat is 64. [1]"
    wrong = with_results(Finished("That is 46. [1]\n\n> quote [1]", "That is 46."), ["2 * 8 * 4 = 64"], ["That is 46."])
    assert wrong.text == "2 * 8 * 4 = 64\n\n> quote [1]"
    rows = with_results(Finished("It is ia3.", "It is ia3."), ["SELECT method FROM runs\nmethod\nia3"], ["It is ia3."])
    assert rows.text == "`SELECT method FROM runs` (1): method\n\n- ia3\n\nIt is ia3."
