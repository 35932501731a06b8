"""Fetches one web page safely and saves it as ``documents/web/HOST/NAME``, where it is indexed like any file.

Only http and https, on any port; no user names, cookies, Referer or proxy. This module follows redirects, and checks
each target again. guarded_network.py limits the allowed addresses and the time; this module limits the size.

Deliberately not supported: scripts, frames, pictures, ``<meta http-equiv=refresh>``, pages behind a login.
"""

import gzip
import hashlib
import io
import re
import time
import unicodedata
import zlib
from email.message import Message
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote

import httpcore
import httpx
from bs4.dammit import EncodingDetector

from domain import whole_file
from indexes.errors import IndexingError
from indexes.guarded_network import GuardedNetwork
from indexes.readers.encodings import decode
from indexes.readers.file_format import TEXT_FORMATS

MAX_SECONDS = 30.0
MAX_BYTES = 20_000_000
MAX_REDIRECTS = 5
_REDIRECTS = {301, 302, 303, 307, 308}

_OFFICE = "application/vnd.openxmlformats-officedocument"
_SUFFIXES = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/csv": ".csv",
    "application/pdf": ".pdf",
    "application/epub+zip": ".epub",
    f"{_OFFICE}.wordprocessingml.document": ".docx",
    f"{_OFFICE}.presentationml.presentation": ".pptx",
    f"{_OFFICE}.spreadsheetml.sheet": ".xlsx",
}
"""Maps media types to file suffixes."""
_BINARY = {".pdf", ".epub", ".docx", ".pptx", ".xlsx", ".odt"}
_KNOWN = {*_BINARY, ".txt", ".text", ".rst", *(suffix for suffix, form in TEXT_FORMATS.items() if form != "code")}
"""Suffixes that a saved page may have; the suffix of a program (.php) says how a page is generated, not its format."""
_VAGUE = {"", "application/octet-stream", "application/zip", "text/plain"}
"""Unspecific media types; for these the suffix of the address decides."""


class _Answer(NamedTuple):
    media: str
    """Media type such as ``text/html``; empty if the server sends none."""
    charset: str | None
    data: bytes


def fetch_page(
    address: str,
    documents: Path,
    allow_private: bool = False,
    seconds: float = MAX_SECONDS,
    max_bytes: int = MAX_BYTES,
) -> Path:
    """Fetch the page at ``address`` and save it under ``documents/web/``, replacing the file of an earlier fetch.

    ``allow_private`` also permits this machine and the local network, for example for an intranet wiki, but never
    link-local addresses, and never a redirect from the internet to a private address.

    Raises :class:`IndexingError`, a sentence that begins with the address.
    """
    try:
        url = _parse(address)
        answer = _fetch(url, allow_private, seconds, max_bytes)
        suffix = _suffix(url, answer)
        return _save(url, documents, suffix, _saved_form(url, suffix, answer))
    except httpcore.TimeoutException:
        why = f"it took more than {seconds:g} seconds; try again later, or save the page by hand into {documents}"
    except httpcore.ConnectError as error:
        why = f"the connection failed ({error})"
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        why = f"the server's response is not valid HTTP ({error})"
    except IndexingError as error:
        why = str(error)
    raise IndexingError(f"{address} was not downloaded: {why}.")


def _parse(address: str, base: httpx.URL | None = None) -> httpx.URL:
    """Normalise the address: punycode, percent-encoding, no default port, no fragment, no dot after the host."""
    try:
        url = base.join(address) if base else httpx.URL(address.strip())
    except httpx.InvalidURL as error:
        raise IndexingError(f"it is not a valid URL ({str(error).rstrip('.')})") from None
    if url.scheme not in ("http", "https"):
        raise IndexingError("a URL must start with http:// or https://")
    if url.userinfo:
        raise IndexingError("URLs with a user name or password are not supported; save the page by hand")
    host, port = url.raw_host.decode("ascii").removesuffix("."), 80 if url.port is None else url.port
    if not re.fullmatch(r"[a-z0-9_:][a-z0-9._:-]{0,252}", host) or not 0 < port < 65536:
        raise IndexingError("its host or port is invalid")
    place = (f"[{host}]" if ":" in host else host) + (f":{url.port}" if url.port else "")
    return httpx.URL(f"{url.scheme}://{place}{url.raw_path.decode('ascii')}")


def _fetch(url: httpx.URL, allow_private: bool, seconds: float, max_bytes: int) -> _Answer:
    """Fetch the page, with at most five redirects, and none from a public address to a private one."""
    deadline = time.monotonic() + seconds
    for _ in range(MAX_REDIRECTS + 1):
        tls = httpx.create_ssl_context() if url.scheme == "https" else None  # trusts certifi's list, or SSL_CERT_FILE
        network = GuardedNetwork(allow_private, deadline)
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        headers: dict[bytes | str, bytes | str] = {
            "Host": url.netloc.decode("ascii"),
            "User-Agent": f"Lorewright/{version('lorewright')}",
            "Accept": "text/html, application/xhtml+xml, text/*;q=0.9, */*;q=0.5",
            "Accept-Encoding": "gzip",
            "Connection": "close",
        }
        with (
            httpcore.ConnectionPool(ssl_context=tls, network_backend=network) as pool,
            pool.stream("GET", target, headers=headers) as response,
        ):
            received = Message()
            for name, value in response.headers:
                received[name.decode("latin-1")] = value.decode("utf-8", errors="replace")
            if response.status == 200:
                media = received.get_content_type() if received["Content-Type"] else ""
                data = _body(response, received["Content-Encoding"] or "", max_bytes)
                return _Answer(media, received.get_content_charset(), data)
            if response.status not in _REDIRECTS or not received["Location"]:
                raise IndexingError(f"the server answered with status {response.status}; open it in a browser")
        try:
            following = _parse(received["Location"], url)
        except IndexingError as error:
            raise IndexingError(f"it redirects to {received['Location']!r}, and {error}") from None
        if url.scheme == "https" and following.scheme == "http":
            raise IndexingError(f"it redirects from https to {following}, which is not encrypted")
        url, allow_private = following, allow_private and network.private
    raise IndexingError(f"it redirects more than {MAX_REDIRECTS} times")


def _body(response: httpcore.Response, coding: str, max_bytes: int) -> bytes:
    too_large = IndexingError(f"it is larger than {max_bytes / 1_000_000:g} MB")
    packed = bytearray()
    for piece in response.iter_stream():
        packed += piece
        if len(packed) > max_bytes:
            raise too_large
    if coding.lower() in ("", "identity"):
        return bytes(packed)
    if coding.lower() not in ("gzip", "x-gzip"):
        raise IndexingError(f"the server sent the unrequested encoding {coding!r}")
    try:
        data = gzip.GzipFile(fileobj=io.BytesIO(packed)).read(max_bytes + 1)  # never unpacks more than this
    except (OSError, EOFError, zlib.error):
        raise IndexingError("the server sent damaged gzip data") from None
    if len(data) > max_bytes:
        raise too_large
    return data


def _suffix(url: httpx.URL, answer: _Answer) -> str:
    own = PurePosixPath(unquote(url.path)).suffix.lower()
    if answer.data[:1024].lstrip().startswith(b"%PDF-"):
        return ".pdf"
    if answer.media in _VAGUE and own in _KNOWN:
        return own
    is_html = re.match(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+)?html\b", answer.data[:1024], re.IGNORECASE)
    suffix = ".html" if is_html and answer.media in _VAGUE else _SUFFIXES.get(answer.media, "")
    if suffix:
        return suffix
    raise IndexingError(f"its type {answer.media!r} is not supported")


def _saved_form(url: httpx.URL, suffix: str, answer: _Answer) -> bytes:
    """Encode text as UTF-8, because the header with its encoding is not saved; add the address to HTML as a comment.

    HTML gets a byte order mark, which overrides the encoding that the page declares. The comment has the format that
    browsers write. Only a ``>`` could end it, so it is escaped in the address.
    """
    if suffix in _BINARY:
        return answer.data
    if TEXT_FORMATS.get(suffix) != "html":
        return _text(answer, answer.charset).encode()
    text = _text(answer, answer.charset or EncodingDetector.find_declared_encoding(answer.data, is_html=True))
    shown = str(url).replace(">", "%3E")
    return f"<!-- saved from url=({len(shown):04d}){shown} -->\n{text}".encode("utf-8-sig")


def _text(answer: _Answer, declared: str | None) -> str:
    try:
        return decode(answer.data, declared)
    except IndexingError as error:
        raise IndexingError(f"it {error}") from None


def _save(url: httpx.URL, documents: Path, suffix: str, data: bytes) -> Path:
    """Write ``web/HOST/WORDS-HASH.suffix``: readable words, and a hash of the whole address that makes it unique."""
    host = url.raw_host.decode("ascii").replace(":", "-")[:100]
    path = unicodedata.normalize("NFC", unquote(url.path)).removesuffix(suffix)
    words = "".join(one if unicodedata.category(one)[0] in "LMN" else "-" for one in path)  # letters, marks, numbers
    words = re.sub("-+", "-", words).strip("-").encode()[:120].decode(errors="ignore") or "index"
    stem = f"{words}-{hashlib.sha256(str(url).encode()).hexdigest()[:8]}"
    # Windows reserves con, nul and other device names, whatever follows the first dot; a stem has a hash before it.
    folder = documents / "web" / re.sub(r"^(con|prn|aux|nul|com\d|lpt\d)(?=\.|$)", r"\1_", host)
    if not folder.resolve().is_relative_to(documents.resolve()):
        raise IndexingError(f"{folder} is a link to outside the documents folder; remove the link")
    with whole_file(folder / f"{stem}{suffix}") as partial:
        partial.write_bytes(data)
    for other in _KNOWN - {suffix}:
        (folder / f"{stem}{other}").unlink(missing_ok=True)
    return folder / f"{stem}{suffix}"
