"""Fetches web pages into the documents folder, from a real server on this machine and from unsafe addresses."""

import codecs
import gzip
import hashlib
import re
import socket
import ssl
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from index_samples import make_domain
from pytest_socket import SocketConnectBlockedError

from indexes import Index, IndexingError, fetch_page
from indexes.readers import read_document

PAGE = "<!DOCTYPE html><html><head><title>Tea</title></head><body><h1>Green tea</h1><p>{}</p></body></html>"
WATER = PAGE.format("Use water of 80 degrees for green tea.")
LONGJING = "冲泡龙井宜用八十度左右的水。"
HTML = {"Content-Type": "text/html; charset=utf-8"}


class Site(ThreadingHTTPServer):
    """Answers each path with a response set by the test: status, headers and body, or a function that writes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages = defaultdict(lambda: (404, HTML, b"nothing here"))
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def put(self, path: str, body: str | bytes, status: int = 200, **headers: str) -> str:
        data = body.encode() if isinstance(body, str) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.pages[path] = (status, named or HTML, data)
        return self.url + path

    def leads(self, path: str, target: str, status: int = 302) -> str:
        return self.put(path, "", status, Location=target)


class _Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        page = self.server.pages[self.path]
        if callable(page):
            page(self)
            return
        status, headers, body = page
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    server = Site()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """A hosts table: maps each name to its successive results; other names resolve normally."""
    table: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def getaddrinfo(host, port, *rest, **more):
        if host not in table:
            return real(host, port, *rest, **more)
        answers = [real(address, port, *rest, **more) for address in table[host].pop(0)]
        return [entry for answer in answers for entry in answer]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return table


@pytest.fixture
def fetch(tmp_path: Path) -> Callable[..., Path]:
    """Fetch from this machine, which only ``allow_private`` permits."""
    return partial(fetch_page, documents=tmp_path, allow_private=True)


def refused(fetch: Callable[..., Path], address: str, **more: object) -> str:
    """The refusal message, after the address; the folder must not change."""
    folder = fetch.keywords["documents"]
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(IndexingError) as error:
        fetch(address, **more)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    said = str(error.value)
    assert said.startswith(f"{address} was not downloaded: ")
    assert said.endswith(".")
    return said.removeprefix(f"{address} was not downloaded: ").removesuffix(".")


# Saved files


def test_a_page_is_saved_under_its_host_and_path_with_its_address(site, fetch, tmp_path):
    address = site.put("/shop/green-tea.html?lang=en", WATER)
    path = fetch(f"{address}#water")
    digest = hashlib.sha256(address.encode()).hexdigest()[:8]
    assert path == tmp_path / "web" / "127.0.0.1" / f"shop-green-tea-{digest}.html"
    saved = path.read_text(encoding="utf-8-sig")
    assert saved == f"<!-- saved from url=({len(address):04d}){address} -->\n{WATER}"
    extracted = read_document(path.name, path.read_bytes())
    assert extracted.text.split("\n\n") == ["Green tea", "Use water of 80 degrees for green tea."]
    (path_asked, headers), *others = site.asked
    assert (path_asked, others) == ("/shop/green-tea.html?lang=en", [])
    assert re.fullmatch(r"Lorewright/\d+\.\d+\.\d+", headers["User-Agent"])
    assert headers["Host"] == f"127.0.0.1:{site.server_port}"
    assert not {"Cookie", "Referer", "Authorization"} & headers.keys()


@pytest.mark.parametrize(
    ("encoding", "content_type", "meta"),
    [
        ("gbk", "text/html; charset=GBK", ""),
        ("gb18030", 'text/html; charset="gb2312"', ""),
        ("gbk", "text/html", '<meta charset="gbk">'),
        ("gbk", "text/html; charset=gbk", '<meta charset="utf-8">'),
        ("utf-8", "text/html; charset=utf-8", '<meta charset="gbk">'),
        ("utf-8", "text/html", ""),
        ("big5", "text/html; charset=big5", ""),
        ("utf-16", "text/html", ""),
        ("koi8-r", "text/html; charset=koi8-r", '<meta charset="gbk">'),
    ],
)
def test_a_page_is_read_in_the_encoding_that_the_server_or_the_page_names(site, fetch, encoding, content_type, meta):
    text = {"big5": "沖泡龍井宜用八十度左右的水。", "koi8-r": "Заваривайте зелёный чай."}.get(encoding, LONGJING)
    page = PAGE.format(text).replace("<head>", f"<head>{meta}")
    path = fetch(site.put("/a", page.encode(encoding), Content_Type=content_type))
    assert path.read_bytes().startswith(codecs.BOM_UTF8), "browsers would believe the page's meta instead"
    assert text in path.read_text(encoding="utf-8-sig")
    assert text in read_document(path.name, path.read_bytes()).text


def test_plain_text_in_an_encoding_that_only_the_header_names_is_kept(site, fetch):
    path = fetch(site.put("/tea.txt", "чай".encode("koi8-r"), Content_Type="text/plain; charset=koi8-r"))
    assert path.suffix == ".txt"
    assert path.read_text(encoding="utf-8") == "чай"


@pytest.mark.parametrize(
    ("path", "content_type", "body", "suffix"),
    [
        ("/guide", "application/pdf", b"%PDF-1.4 ...", ".pdf"),
        ("/guide", "application/octet-stream", b"%PDF-1.4 ...", ".pdf"),
        ("/guide", "text/html", b"%PDF-1.4 ...", ".pdf"),
        ("/README.md", "text/plain", b"# Tea", ".md"),
        ("/README", "text/markdown; charset=utf-8", b"# Tea", ".md"),
        ("/notes.php", "text/plain", b"tea", ".txt"),
        ("/tea", "application/xhtml+xml", WATER.encode(), ".html"),
        ("/tea", "application/octet-stream", WATER.encode(), ".html"),
    ],
)
def test_the_kind_of_file_follows_type_and_content(site, fetch, path, content_type, body, suffix):
    saved = fetch(site.put(path, body, Content_Type=content_type, Content_Disposition="attachment; filename=evil.exe"))
    assert saved.suffix == suffix
    assert "evil" not in saved.name
    assert (saved.read_bytes() == body) == (suffix != ".html")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "index"),
        ("/../../etc/passwd", "etc-passwd"),
        ("/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "etc-passwd"),
        ("/..%5c..%5cwindows%00", "windows"),
        ("/CON", "CON"),
        ("/a:b*c?x=1", "a-b-c"),
        ("/.hidden", "hidden"),
        ("/~$tea", "tea"),
        ("/wiki/龙井茶/水温", "wiki-龙井茶-水温"),
        ("/%E9%BE%99%E4%BA%95", "龙井"),
        ("/" + "长" * 300, "长" * 40),
        ("/a-->b", "a-b"),
    ],
)
def test_the_name_of_the_file_never_leads_elsewhere(site, fetch, tmp_path, path, name):
    site.pages = defaultdict(lambda: (200, HTML, WATER.encode()))
    saved = fetch(site.url + path)
    assert saved.parent == tmp_path / "web" / "127.0.0.1"
    assert re.fullmatch(re.escape(name) + r"-[0-9a-f]{8}\.html", saved.name)
    assert len(saved.name.encode()) < 140
    comment, _, rest = saved.read_text(encoding="utf-8-sig").partition("-->")
    assert comment.startswith("<!-- saved from url=(")
    assert rest == f"\n{WATER}"


def test_the_same_address_again_replaces_its_file_and_another_never_does(site, fetch, tmp_path):
    first = fetch(site.put("/tea", PAGE.format("old")))
    address = site.put("/tea", WATER)
    assert fetch(address) == fetch(f"{address}#x") == fetch(address.replace("http", "HTTP")) == first
    assert "80 degrees" in first.read_text(encoding="utf-8-sig")
    others = {fetch(site.put(path, WATER)) for path in ("/tea?", "/tea/", "/Tea", "/tea?a=1", "/tea%20")}
    files = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {first, *others}
    assert len({path.name.lower() for path in files}) == 6
    as_pdf = fetch(site.put("/tea", b"%PDF-1.4", Content_Type="application/pdf"))
    assert as_pdf == first.with_suffix(".pdf")
    assert not first.exists()


def test_hosts_become_folders_that_every_system_can_hold(site, fetch, names):
    for host, folder in [
        ("con.test", "con_.test"),
        ("茶.test", "xn--cl1a.test"),
        ("Tea.TEST.", "tea.test"),
        ("[::ffff:127.0.0.1]", "--ffff-127.0.0.1"),
    ]:
        names[host.lower().removesuffix(".").strip("[]")] = names["xn--cl1a.test"] = [["127.0.0.1"]]
        site.put("/", WATER)
        assert fetch(f"http://{host}:{site.server_port}/").parent.name == folder


# Allowed addresses


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "data:text/html,tea",
        "ftp://127.0.0.1/a",
        "127.0.0.1/a",
        "//a/b",
        "",
    ],
)
def test_only_http_and_https_are_fetched(fetch, address):
    assert refused(fetch, address) == "a URL must start with http:// or https://"


@pytest.mark.parametrize("address", ["http://me:secret@127.0.0.1/", "http://example.org@127.0.0.1/", r"http://a\@b/"])
def test_an_address_with_a_user_is_refused(fetch, address):
    assert refused(fetch, address) == "URLs with a user name or password are not supported; save the page by hand"


@pytest.mark.parametrize(
    "address", ["http://", "http:///a", "http://.../", "http://a b/", "http://a%2fb/", "http://a:99999/", "http://a:0/"]
)
def test_an_address_without_a_host_is_refused(fetch, address):
    assert refused(fetch, address) == "its host or port is invalid"


def test_what_is_no_address_is_refused(fetch):
    assert refused(fetch, "http://[::1/").startswith("it is not a valid URL (")
    assert refused(fetch, "http://a/\x1b[2J").startswith("it is not a valid URL (")
    assert refused(fetch, "http://no-such-host.invalid/").startswith(
        "the host no-such-host.invalid cannot be resolved ("
    )
    assert refused(fetch, f"http://{'a' * 70}.test/").startswith(f"the host {'a' * 70}.test cannot be resolved (")


LOCAL = ["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "198.18.0.1", "::1", "fd00::1"]
NEVER = ["169.254.169.254", "fe80::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1"]
NEVER += ["100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fec0::1", "2001:db8::1", "192.0.2.1", "fe80::1%1"]
NEVER += ["2002:7f00:1::", "2001:0:7f00:1::", "64:ff9b:1::7f00:1", "::7f00:1", "::ffff:169.254.169.254"]
MAPPED = ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1"]


@pytest.mark.parametrize("resolved", [*LOCAL, *NEVER, *MAPPED])
def test_a_name_that_leads_to_this_machine_or_its_network_is_refused(fetch, monkeypatch, resolved):
    entry = (socket.AF_INET6 if ":" in resolved else socket.AF_INET, socket.SOCK_STREAM, 6, "", (resolved, 80))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [entry])
    why = refused(fetch, "http://innocent.test/", allow_private=False)
    assert why.startswith(f"its host has the address {resolved}, which is not on the public internet")
    assert ("--allow-private" in why) == (resolved not in NEVER)
    if resolved in NEVER:
        assert refused(fetch, "http://innocent.test/") == why


@pytest.mark.parametrize("resolved", ["93.184.216.34", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d822"])
def test_a_public_address_is_connected_to(fetch, names, resolved):
    names["public.test"] = [[resolved]]
    with pytest.raises(SocketConnectBlockedError, match=re.escape(resolved)), pytest.warns():
        fetch("http://public.test/", allow_private=False)


@pytest.mark.parametrize(
    "host", ["127.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "[::ffff:7f00:1]", "[::1]", "localhost"]
)
def test_odd_spellings_of_this_machine_are_refused(site, fetch, host):
    why = refused(fetch, f"http://{host}:{site.server_port}/", allow_private=False)
    assert re.match(r"its host has the address (127\.0\.0\.1|::1|::ffff:127\.0\.0\.1), which is not on the", why)
    assert site.asked == []


@pytest.mark.parametrize("address", ["http://0177.0.0.1/", "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/"])
def test_spellings_that_are_read_in_two_ways_are_refused(fetch, address):
    assert re.match("it is not a valid URL|its host or port is invalid", refused(fetch, address))


def test_a_name_with_one_private_address_among_public_ones_is_refused(fetch, names):
    names["both.test"] = [["93.184.216.34", "127.0.0.1"]]
    assert "its host has the address 127.0.0.1" in refused(fetch, "http://both.test/", allow_private=False)


def test_a_name_that_changes_its_address_is_asked_once_and_the_checked_address_is_connected_to(site, fetch, names):
    """DNS rebinding: a public address at the check, this machine at the connection."""
    names["public.test"] = [["93.184.216.34"], ["127.0.0.1"]]
    with pytest.raises(SocketConnectBlockedError, match=r"93\.184\.216\.34"), pytest.warns():
        fetch(f"http://public.test:{site.server_port}/", allow_private=False)
    assert names["public.test"] == [["127.0.0.1"]]
    assert site.asked == []


def test_the_next_address_of_a_name_is_tried_when_one_refuses(site, fetch, names):
    names["wiki.test"] = [["::1", "127.0.0.1"]]
    site.put("/", WATER)
    assert fetch(f"http://wiki.test:{site.server_port}/").parent.name == "wiki.test"
    assert site.asked[0][1]["Host"] == f"wiki.test:{site.server_port}"


def test_a_proxy_of_the_environment_is_not_asked(site, fetch, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert fetch(site.put("/a", WATER)).is_file()


# Redirects


def test_redirects_are_followed_and_the_page_keeps_the_address_that_was_given(site, fetch):
    site.put("/茶".encode().decode("latin-1"), "x")
    site.put("/%E8%8C%B6", WATER)
    site.leads("/c", "/茶".encode().decode("latin-1"), 308)
    site.leads("/b/d", "../c", 301)
    path = fetch(site.leads("/a", f"{site.url}/b/d"))
    assert path.name.startswith("a-")
    assert f"{site.url}/a -->" in path.read_text(encoding="utf-8-sig")
    assert [asked for asked, _ in site.asked] == ["/a", "/b/d", "/c", "/%E8%8C%B6"]


def test_more_than_five_redirects_are_refused(site, fetch):
    assert refused(fetch, site.leads("/loop", "/loop")) == "it redirects more than 5 times"
    assert len(site.asked) == 6


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("file:///etc/passwd", "must start with http:// or https://"),
        ("http://me:secret@127.0.0.1/", "URLs with a user name or password are not supported"),
        ("http://169.254.169.254/latest/meta-data/", "its host has the address 169.254.169.254"),
        ("http://[::ffff:169.254.169.254]/", "its host has the address ::ffff:169.254.169.254"),
        ("http://[::1", "it is not a valid URL"),
    ],
)
def test_every_target_of_a_redirect_is_checked(site, fetch, target, why):
    assert why in refused(fetch, site.leads("/a", target))


def test_from_the_internet_nothing_leads_into_the_local_network_even_where_that_is_allowed(site, fetch, monkeypatch):
    """A server on this machine acts as the public one: its address counts as public until the first request."""
    from indexes import guarded_network

    real = guarded_network._is_private
    monkeypatch.setattr(guarded_network, "_is_private", lambda *given: bool(site.asked) and real(*given))
    site.put("/secret", WATER)
    address = site.leads("/a", "/secret")
    assert "its host has the address 127.0.0.1" in refused(fetch, address)
    assert [asked for asked, _ in site.asked] == ["/a"]


# Limits of size, time and type


def test_a_small_archive_that_unpacks_to_much_is_refused_and_an_honest_one_read(site, fetch):
    packed = {"Content_Type": "text/html", "Content_Encoding": "gzip"}
    bomb = gzip.compress(bytes(30_000_000))
    assert len(bomb) < 100_000
    assert refused(fetch, site.put("/bomb", bomb, **packed)) == "it is larger than 20 MB"
    cut = gzip.compress(WATER.encode())[:-9]
    assert refused(fetch, site.put("/cut", cut, **packed)) == "the server sent damaged gzip data"
    assert "80 degrees" in fetch(site.put("/good", gzip.compress(WATER.encode()), **packed)).read_text("utf-8-sig")
    twice = {"Content_Type": "text/html", "Content_Encoding": "gzip, gzip"}
    assert "sent the unrequested encoding 'gzip, gzip'" in refused(fetch, site.put("/twice", b"", **twice))


def test_a_body_without_end_is_refused_when_it_is_too_large(site, fetch):
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n")
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        except OSError:
            ended.set()

    ended = threading.Event()
    site.pages["/endless"] = endless
    assert refused(fetch, f"{site.url}/endless", max_bytes=1_000_000) == "it is larger than 1 MB"
    assert ended.wait(60), "the connection was not closed"


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_server_that_drips_is_given_up_at_the_deadline(site, fetch, start):
    """Each byte arrives within any limit for a single read: before the status, in a header, and in the body."""

    def drip(handler: BaseHTTPRequestHandler) -> None:
        try:
            handler.wfile.write(start)
            while start:
                handler.wfile.write(b"x")
                time.sleep(0.05)
        except OSError:
            pass
        ended.wait(60)

    ended = threading.Event()
    site.pages["/drip"] = drip
    assert refused(fetch, f"{site.url}/drip", seconds=0.5).startswith("it took more than 0.5 seconds; try again later")
    ended.set()


def test_a_resolver_that_does_not_answer_is_given_up_at_the_deadline(fetch, monkeypatch):
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait(60) and [])
    assert refused(fetch, "http://slow.test/", seconds=0.2).startswith("it took more than 0.2 seconds")
    answered.set()


def test_an_answer_that_is_no_page_is_refused_with_the_reason(site, fetch):
    assert refused(fetch, f"{site.url}/absent") == "the server answered with status 404; open it in a browser"
    assert "status 304" in refused(fetch, site.put("/304", "", 304))
    assert "status 302" in refused(fetch, site.put("/302", "", 302))
    picture = site.put("/a.png", b"\x89PNG\r\n", Content_Type="image/png")
    assert refused(fetch, picture) == "its type 'image/png' is not supported"
    program = site.put("/a", b"\x7fELF\0\0", Content_Type="application/octet-stream")
    assert refused(fetch, program) == "its type 'application/octet-stream' is not supported"
    disguised = site.put("/b", b"\x7fELF\0\1\0\0" * 9, Content_Type="text/html")
    assert refused(fetch, disguised) == "it contains binary data, not text; remove it, or save it as text"
    site.pages["/wrong"] = lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n")
    assert refused(fetch, f"{site.url}/wrong").startswith("the server's response is not valid HTTP (")
    site.pages["/short"] = lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
    assert refused(fetch, f"{site.url}/short").startswith("the server's response is not valid HTTP (")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert refused(fetch, f"http://127.0.0.1:{port}/").startswith("the connection failed (")


@pytest.mark.parametrize("place", ["web", "web/127.0.0.1"])
def test_a_link_that_leads_out_of_the_folder_is_not_written_through(site, tmp_path, place):
    outside, documents = tmp_path / "outside", tmp_path / "documents"
    outside.mkdir()
    (documents / place).parent.mkdir(parents=True)
    (documents / place).symlink_to(outside, target_is_directory=True)
    fetch = partial(fetch_page, documents=documents, allow_private=True)
    said = refused(fetch, site.put("/tea", WATER))
    assert said == f"{documents / 'web' / '127.0.0.1'} is a link to outside the documents folder; remove the link"
    assert list(outside.iterdir()) == []


def test_a_page_that_fails_leaves_the_file_of_an_earlier_fetch(site, fetch):
    path = fetch(site.put("/tea", WATER))
    assert "status 500" in refused(fetch, site.put("/tea", "oops", 500))
    assert [file.name for file in path.parent.iterdir()] == [path.name]


# https


@pytest.fixture
def secure(site, tmp_path_factory, monkeypatch, absent) -> Site:
    """The site over TLS with a self-signed certificate for wiki.test only, trusted by SSL_CERT_FILE."""
    folder = tmp_path_factory.mktemp("certificate")
    making = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    making += ["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=wiki.test"]
    try:
        subprocess.run(
            [*making, "-addext", "subjectAltName=DNS:wiki.test"], cwd=folder, capture_output=True, check=True
        )
    except FileNotFoundError:
        absent("openssl is not installed")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    site.socket = context.wrap_socket(site.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "cert.pem"))
    return site


def test_https_proves_the_name_although_the_address_is_pinned(secure, fetch, names, monkeypatch):
    names.update({"wiki.test": [["127.0.0.1"]] * 3, "other.test": [["127.0.0.1"]]})
    secure.put("/", WATER)
    wiki = f"https://wiki.test:{secure.server_port}/"
    assert "CERTIFICATE_VERIFY_FAILED" in refused(fetch, wiki.replace("wiki", "other"))
    assert "CERTIFICATE_VERIFY_FAILED" in refused(fetch, wiki.replace("wiki.test", "127.0.0.1"))
    assert secure.asked == []
    secure.leads("/down", "http://wiki.test/")
    assert refused(fetch, f"{wiki}down") == "it redirects from https to http://wiki.test/, which is not encrypted"
    assert "80 degrees" in fetch(wiki).read_text("utf-8-sig")
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "CERTIFICATE_VERIFY_FAILED" in refused(fetch, wiki)


# Indexing


def test_a_fetched_page_is_indexed_like_any_other_file_and_found(site, minilm, tmp_path):
    domain = make_domain(tmp_path / "shop", {}, embedder="all-minilm-l6-v2")
    path = fetch_page(site.put("/tea", WATER), domain.documents, allow_private=True)
    with Index.open(domain) as index:
        report = index.update()
        name = path.relative_to(domain.documents).as_posix()
        assert report.added == [name]
        (passage,) = index.search("How hot is the water?", k=1)
        assert (passage.document, passage.text) == (name, "Use water of 80 degrees for green tea.")
