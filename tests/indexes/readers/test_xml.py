"""XML: feed entries, records, prose."""

from document_samples import blocks, read, texts

RSS = """<?xml version="1.0"?><rss><channel><title>Club</title><item><title>Regatta</title>
<pubDate>Mon, 4 May 2026</pubDate><description>&lt;p&gt;It starts at &lt;b&gt;8:20&lt;/b&gt;.&lt;/p&gt;</description>
</item></channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>俱乐部</title><entry><title>划船</title>
<updated>2026-05-04</updated><content type="html">八点二十分开始。</content></entry></feed>"""


def test_entries_of_a_feed_stand_under_their_titles() -> None:
    assert blocks("a.rss", RSS) == [
        (("Club", "Regatta"), "Date: Mon, 4 May 2026"),
        (("Club", "Regatta"), "It starts at 8:20."),
    ]
    assert blocks("a.xml", ATOM)[-1] == (("俱乐部", "划船"), "八点二十分开始。")


def test_what_is_struck_out_in_an_entry_is_told() -> None:
    struck = RSS.replace("It starts at", "&lt;s&gt;7:00&lt;/s&gt; It starts at")
    assert read("a.rss", struck).warning == "has struck-out text in 1 place, which was left out"


def test_elements_that_repeat_are_records_and_text_amid_elements_is_prose() -> None:
    books = '<books><book id="b1"><title>Tea</title></book><book id="b2"><title>Rope</title></book></books>'
    assert texts("a.xml", books) == ["id: b1\ntitle: Tea", "id: b2\ntitle: Rope"]
    assert "para: Some bold text." in read("a.xml", "<a><para>Some <b>bold</b> text.</para><x>1</x></a>").text
