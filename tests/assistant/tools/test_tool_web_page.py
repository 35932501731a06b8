"""One page, fetched from a real server on this machine, and addresses that the tool refuses."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from assistant.tools.web_page import web_tool

PAGE = "<html><title>茶</title><h1>龙井</h1><p>水温八十度。</p><script>steal()</script></html>"


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = PAGE.encode("gbk") if self.path == "/tea" else b"\x00\x01" * 1000
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=gbk" if self.path == "/tea" else "video/mp4")
        self.end_headers()
        self.wfile.write(body)
        asked.append(self.path)

    def log_message(self, *_: object) -> None:
        return


asked: list[str] = []


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_page_becomes_text(site):
    said = web_tool(allow_private=True).invoke({"url": f"{site}/tea"})
    assert said.startswith(f"{site}/tea, part 1 of 1.\n")
    assert "水温八十度。" in said
    assert "steal" not in said


def test_what_is_no_text_is_a_sentence(site):
    said = web_tool(allow_private=True).invoke({"url": f"{site}/film"})
    assert "its type 'video/mp4' is not supported" in said


def test_an_agent_reaches_no_intranet(site):
    asked.clear()
    tool = web_tool()
    local = site.removeprefix("http://127.0.0.1")
    urls = [
        f"{site}/tea",
        f"http://127.1{local}/tea",
        f"http://2130706433{local}/tea",
        f"http://[::1]{local}/",
        f"http://localhost{local}/tea",
    ]
    for url in [*urls, "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://[::ffff:192.168.0.1]/"]:
        said = tool.invoke({"url": url})
        assert "not on the public internet" in said or "cannot be resolved" in said or "invalid" in said, (url, said)
        assert "--allow-private" not in said
    for url in (
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "gopher://127.0.0.1:70/",
        "javascript:1",
        "",
        "http://u:p@127.0.0.1/",
    ):
        assert "was not downloaded" in tool.invoke({"url": url})
    assert "Wrong argument url" in tool.invoke({"url": "http://x/" + "a" * 1000})
    assert asked == []
