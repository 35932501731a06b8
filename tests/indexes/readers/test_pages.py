"""Web pages: only the visible text is read."""

import pytest
from document_samples import blocks, texts


def test_questions_that_are_buttons_are_headings_and_other_buttons_are_none() -> None:
    answer = "<div>Within 14 days.</div><button>Send</button>"
    for question in (
        "<h2><button>How long do I have?</button></h2>",
        "<button><h2>How long do I have?</h2></button>",
    ):
        assert blocks("a.html", question + answer) == [(("How long do I have?",), "Within 14 days.")]
    page = "<details><summary><button>How long?</button></summary>14 days.</details>"
    assert texts("a.html", page) == ["How long?", "14 days."]
    assert texts("a.html", "<dl><dt><button>How long?</button></dt><dd>14 days.</dd></dl>") == ["How long?\n  14 days."]


def test_line_breaks_stay_between_words() -> None:
    page = (
        "<h1>Green Tea<br>Guide</h1><p>苹果<br>香蕉<br>\n橙子\n汁</p><pre>one<br>two</pre><ul><li>a<br>b</ul>"
        "<table><tr><th>Tea<th>Price<br>EUR<th>°C<tr><td>A<br>B<td>4<td>80</table>"
    )
    title = ("Green Tea Guide",)
    assert blocks("a.html", page) == [
        (title, "苹果\n香蕉\n橙子汁"),
        (title, "one\ntwo"),
        (title, "- a b"),
        (title, "Tea: A B; Price EUR: 4; °C: 80"),
    ]


def test_how_a_character_is_read_does_not_tear_words() -> None:
    page = "<p><ruby>北<rp>(</rp><rt>Běi</rt><rp>)</rp>京<rp>(</rp><rt>jīng</rt><rp>)</rp></ruby>很大。</p>"
    assert texts("a.html", page) == ["北京很大。"]


@pytest.mark.parametrize("how", ['style="color: red; DISPLAY:none"', "style='visibility: hidden'", "hidden"])
def test_hidden_text_is_none(how: str) -> None:
    assert texts("a.html", f"<p {how}>Preheader</p><p style='display: block'>Text.</p>") == ["Text."]


@pytest.mark.parametrize("how", ['style="display:none"', "hidden"])
@pytest.mark.parametrize(
    "button", ["<a href='#a1'>How?</a>", "<p aria-controls=a1>How?</p>", "<p onclick=\"show('a1')\">How?</p>"]
)
def test_what_a_click_opens_is_text(how: str, button: str) -> None:
    assert texts("a.html", f"{button}<div id=a1 {how}>So.</div><div id=a2 {how}>Not.</div>") == ["How?", "So."]


def test_all_that_stands_in_a_list_is_read_in_order() -> None:
    page = "<ul>stray <b>text</b><li>a<ul><li>b</ul>after<p>c</p><p>d</p><li>e<p>para</p></ul>"
    assert texts("a.html", page) == ["stray text\n- a\n  - b\n  after c d\n- e para"]
    assert texts("a.html", "<dl><dt>t</dt><p>loose</p><dd>d</dd></dl>") == ["t\nloose\n  d"]
    assert texts("a.html", "<ul><li>salt<b>y</b> <p>x</p></ul>") == ["- salty x"]


@pytest.mark.parametrize("name", ["docnav", "navbar", "pagination", "breadcrumb"])
def test_links_that_lead_through_a_book_are_no_text(name: str) -> None:
    page = f'<p>All.</p><ul class="{name}"><li><a href="a.html">Prev</a><li><a href="b.html">Next</a></ul>'
    assert texts("a.html", page) == ["All."]


@pytest.mark.parametrize(
    "page", ["<body><main></main><p>All.</p>", "<body class=toc><p>All.</p>", "<html hidden><body hidden><p>All.</p>"]
)
def test_a_page_is_read_whatever_its_frame_says(page: str) -> None:
    assert texts("a.html", page) == ["All."]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("10<sup>6</sup> cells", "10^6 cells"),
        ("<i>10</i><sup>&minus;6</sup>", "10^\u22126"),
        ("(1 + r)<sup>12</sup>", "(1 + r)^12"),
        ("20 m<sup>2</sup>, 5m<sup>3</sup>", "20 m², 5m³"),
        ("x<sup>2</sup> + y<sup>10</sup>", "x² + y^10"),
        ("mol<sup>-1</sup>", "mol^-1"),
        ("<math><msup><mi>x</mi><mn>2</mn></msup></math>", "x²"),
        ("<math><mfrac><mn>1</mn><mn>2</mn></mfrac></math> cup", "1/2 cup"),
        ("5<sup>1</sup>/<sub>2</sub> cups", "5 1/2 cups"),
        ("the claim<sup>2</sup>, a word<sup>[1]</sup>", "the claim2, a word[1]"),
        ("in 2010<sup><a href='#n6'>6</a></sup>", "in 20106"),
        ("in 2010<a href='#n6'><sup>6</sup></a>", "in 20106"),
        ("1<sup>st</sup>, Ca<sup>2+</sup>, H<sub>2</sub>O", "1st, Ca2+, H2O"),
        ("of 2010<p><sup>1</sup> Note", "of 2010 1 Note"),
    ],
)
def test_powers_and_fractions_are_no_other_numbers(written: str, read: str) -> None:
    assert " ".join(texts("a.html", f"<div>{written}</div>")) == read
    assert texts("a.html", f"<table><tr><td>x<td>{written}</table>") == [f"x | {read}"]


MENU = "<div>Menu</div><button>Open</button><nav><a href='/tea'>Teas</a></nav><a href='/login'>Login</a>"


def test_the_menu_of_a_site_is_no_text_but_the_header_of_an_article_is() -> None:
    assert texts("a.html", f"<header>{MENU}</header><p>Text.</p>") == ["Text."]
    for header in (
        f"<header>{MENU}<h1>Tea</h1></header>",
        f"<article><header><h1>Tea</h1>{MENU}</header></article>",
    ):
        assert (("Tea",), "Text.") in blocks("a.html", f"{header}<p>Text.</p>")
    said = "<header>Open from nine to five on all days. <a href='/login'>Login</a></header>"
    assert texts("a.html", said) == ["Open from nine to five on all days. Login"]


def test_a_header_of_two_rows_names_the_columns_of_a_page_too() -> None:
    page = """<table><thead><tr><th rowspan=2>SKU<th colspan=2>Frame<tr><th>Material<th>Weight kg</thead>
        <tr><td>AB-1<td>steel<td>12.4<tr><td>AB-2<td>bamboo<td>9.1</table>"""
    assert texts("a.html", page) == [
        "SKU: AB-1; Frame Material: steel; Frame Weight kg: 12.4\n"
        "SKU: AB-2; Frame Material: bamboo; Frame Weight kg: 9.1"
    ]
