"""An httpcore network backend that connects only to the public internet, and stops at a deadline.

An address from a page or a person may point to services of this machine or its network. Therefore the host name is
resolved once, every resulting address is checked, and the connection uses one of these addresses.
``GuardedNetwork.connect_tcp`` does all of this and is the only place that connects. So nothing resolves the name a
second time (DNS rebinding), odd spellings such as ``127.1`` are checked as the address they resolve to, and TLS still
verifies the name, because httpcore does not see the resolved address.
"""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

import httpcore

from indexes.errors import IndexingError

_INTERNET6 = ipaddress.ip_network("2000::/3")
_TUNNELS = [ipaddress.ip_network(net) for net in ("2001::/32", "2002::/16")]  # Teredo, 6to4: embed any IPv4 address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # NAT64: the last 32 bits are the IPv4 address
_PRIVATE = [
    ipaddress.ip_network(net)
    for net in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"),
        *("100.64.0.0/10", "198.18.0.0/15"),  # assigned by VPN programs, the latter for every name
    )
]
_METADATA = {
    ipaddress.ip_address(one)
    for one in ("100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254")  # the other clouds use link-local
}
"""Metadata services of clouds, which return secrets of the machine; always refused."""


class GuardedNetwork(httpcore.NetworkBackend):
    """Resolves, checks and connects; ``private`` is True afterwards if an address was of the local network."""

    def __init__(self, allow_private: bool, deadline: float) -> None:
        self.allow_private = allow_private
        self.deadline = deadline
        self.private = False

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = _resolve(host, port, _left(self.deadline))
        for address in addresses:
            self.private |= _is_private(address, self.allow_private)
        for number, address in enumerate(addresses, start=1):
            share = _left(self.deadline) / (len(addresses) - number + 1)  # a silent address must not use all the time
            try:
                return _Hurried(httpcore.SyncBackend().connect_tcp(address, port, share), self.deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(addresses):
                    raise
        raise IndexingError(f"the host {host} has no IP address")


class _Hurried(httpcore.NetworkStream):
    """A stream whose every wait ends at the deadline, even if the server sends one byte at a time."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self.stream = stream
        self.deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.stream.read(max_bytes, _left(self.deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.stream.write(buffer, _left(self.deadline))

    def close(self) -> None:
        self.stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Hurried(self.stream.start_tls(ssl_context, server_hostname, _left(self.deadline)), self.deadline)

    def get_extra_info(self, info: str) -> Any:
        return self.stream.get_extra_info(info)


def _left(deadline: float) -> float:
    """Seconds until the deadline, never zero, because a socket treats zero as non-blocking."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise httpcore.ReadTimeout
    return seconds


def _resolve(host: str, port: int, seconds: float) -> list[str]:
    """The addresses of a host name, resolved once, in a separate thread because a resolver cannot be interrupted."""
    answer: Future[list[str]] = Future()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.set_result(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
        except (OSError, UnicodeError) as error:
            answer.set_exception(IndexingError(f"the host {host} cannot be resolved ({error})"))

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answer.result(seconds)
    except TimeoutError:
        raise httpcore.ConnectTimeout from None


def _is_private(address: str, allow_private: bool) -> bool:
    """Whether an address is of this machine or the local network; raises if connecting to it is not allowed."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64:
            ip = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        ip = ip.ipv4_mapped or ip if isinstance(ip, ipaddress.IPv6Address) else ip
    private = any(ip in network for network in _PRIVATE) and ip not in _METADATA
    if private and allow_private:
        return True
    public = ip.is_global and not ip.is_multicast and ip not in _METADATA and not any(ip in net for net in _TUNNELS)
    if public and (ip.version == 4 or ip in _INTERNET6):
        return False
    remedy = "; to allow addresses of the local network, use --allow-private" if private else ""
    raise IndexingError(f"its host has the address {address}, which is not on the public internet{remedy}")
