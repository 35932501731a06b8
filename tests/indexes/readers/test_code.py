"""Source code is split at its definitions, whose names are headings."""

import pytest
from document_samples import CODE_SAMPLE, blocks, read, texts


def test_python_definitions_with_what_stands_above_them() -> None:
    beginning = "# Where tea comes from and where it goes.\n" * 6  # too long to join the first definition
    found = blocks("shop.py", beginning + CODE_SAMPLE)
    assert [headings for headings, _ in found] == [
        *[(), (), ()],
        ("sell",),
        ("Shop",),
        ("Shop", "open"),
        ("Shop", "close"),
        (),
    ]
    assert found[3][1].startswith("# Sells tea.\n@cached\ndef sell(tea):\n")
    assert found[3][1].endswith("return tea")
    assert found[-1][1] == 'print(sell("tea"))'


@pytest.mark.parametrize(
    ("name", "source", "headings"),
    [
        (
            "a.c",
            "#include <a.h>\n\n/* Sells. */\nstatic int sell(struct tea *t)\n{\n  if (t) {\n    x(t);\n  }\n}\n",
            ("sell",),
        ),
        ("a.go", "package a\n\n// Sell sells.\nfunc (s *Shop) Sell(t Tea) error {\n\treturn nil\n}\n", ("Sell",)),
        ("a.rs", "use a;\n\npub(crate) fn sell<T>(t: T) -> u8 {\n    1\n}\n", ("sell",)),
        ("a.ts", "import a\n\nexport const sell = async (t: Tea) => {\n  return t\n}\n", ("sell",)),
        ("a.java", "import a;\n\npublic final class Shop {\n    int x;\n}\n", ("Shop",)),
        ("a.sql", "SELECT 1;\n\nCREATE TABLE IF NOT EXISTS teas (\n  id int\n);\n", ("teas",)),
        ("a.rb", "require 'a'\n\nmodule Shop\n  x\nend\n", ("Shop",)),
    ],
)
def test_definitions_of_other_languages(name: str, source: str, headings: tuple[str, ...]) -> None:
    found = blocks(name, source)
    assert [above for above, _ in found] == [headings]
    assert "\n".join(text for _, text in found).split() == source.split()


def test_a_short_beginning_goes_with_the_first_definition_and_none_without_one() -> None:
    found = blocks("shop.py", CODE_SAMPLE)
    assert [headings for headings, _ in found[:2]] == [("sell",), ("Shop",)]
    assert found[0][1].startswith("#!/usr/bin/env python\n")
    assert found[0][1].endswith(
        'LIMIT = 3\n\n\n# Sells tea.\n@cached\ndef sell(tea):\n    """Take the money."""\n    return tea'
    )
    assert blocks("a.py", "import os\n\nprint(1)\n") == [((), "import os"), ((), "print(1)")]


def test_code_is_known_by_suffix_name_or_first_line() -> None:
    for name in ("a.py", "a.KT", "Makefile", "tool", "a.unknown"):
        assert read(name, "#!/bin/sh\necho 茶\n").format == "code"
    assert read("a.txt", "echo").format == "plain"


def test_a_minified_program_is_one_block() -> None:
    source = "function a(){return 1};" * 40_000 + "\n" + "x(" * 100_000
    assert len(texts("a.js", source)) == 1
