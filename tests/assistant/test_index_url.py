"""``lorewright index DOMAIN --url ADDRESS``: a page of a real server becomes a document and is found."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from assistant_samples import lorewright

PAGE = "<html><title>{0}</title><h1>{0}</h1><p>{1}</p></html>"


@pytest.fixture(scope="module")
def wiki(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with two pages, the Chinese one in GBK, as only the page itself says."""
    folder = tmp_path_factory.mktemp("wiki")
    (folder / "green.html").write_text(PAGE.format("Green tea", "Use water of 80 degrees."), encoding="utf-8")
    chinese = PAGE.format("普洱", "普洱茶饼要放在干燥通风的地方。").replace("<title>", '<meta charset="gbk"><title>')
    (folder / "puer.html").write_text(chinese, encoding="gbk")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def shop(tmp_path, real_model):
    real_model("all-minilm-l6-v2")
    lorewright("new", tmp_path / "shop", "--embedder", "all-minilm-l6-v2")
    return tmp_path / "shop"


def test_pages_are_saved_indexed_and_found_with_their_documents(wiki, shop):
    pages = ["--url", f"{wiki}/green.html", "--url", f"{wiki}/puer.html"]
    ended = lorewright("index", shop, *pages, "--allow-private")
    assert ended.status == 0
    assert "was not" not in ended.err
    saved = {path.name.rpartition("-")[0]: path for path in (shop / "documents" / "web" / "127.0.0.1").iterdir()}
    assert ended.out == (
        f"{wiki}/green.html is saved as {saved['green']}\n{wiki}/puer.html is saved as {saved['puer']}\n"
        f"{shop}: 2 added, 0 changed, 0 deleted, 0 unchanged; 2 passages.\n"
    )
    for name, question, text in [
        ("green", "How hot is the water?", "Use water of 80 degrees."),
        ("puer", "普洱茶饼放在哪里?", "普洱茶饼要放在干燥通风的地方。"),
    ]:
        found = lorewright("search", shop, question, "--k", 1).out
        assert found.startswith(f"[1] web/127.0.0.1/{saved[name].name}, ")
        assert text in found
    saved["puer"].unlink()
    again = lorewright("index", shop, *pages[:2], "--allow-private")
    assert again.out.endswith(f"{shop}: 0 added, 0 changed, 1 deleted, 1 unchanged; 1 passages.\n")


def test_a_page_that_cannot_be_had_is_told_and_the_rest_is_indexed(wiki, shop):
    (shop / "documents" / "tea.md").write_text("# Tea\n\nThree grams a cup.\n", encoding="utf-8")
    ended = lorewright("index", shop, "--url", f"{wiki}/green.html", "--url", "file:///etc/passwd")
    assert ended.status == 3
    assert ended.out == f"{shop}: 1 added, 0 changed, 0 deleted, 0 unchanged; 1 passages.\n"
    assert ended.err.endswith(
        f"{wiki}/green.html was not downloaded: its host has the address 127.0.0.1, which is not on the public "
        "internet; to allow addresses of the local network, use --allow-private.\n"
        "file:///etc/passwd was not downloaded: a URL must start with http:// or https://.\n"
    )
    assert not (shop / "documents" / "web").exists()


def test_private_pages_are_allowed_only_together_with_an_address(shop):
    ended = lorewright("index", shop, "--allow-private")
    assert (ended.status, ended.err) == (
        1,
        "lorewright: --allow-private only affects --url; add a --url.\n",
    )
