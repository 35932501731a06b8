"""Connections to the public internet only: a network for httpcore that checks where it goes, and ends at a deadline.

An address that a page or a person gives may lead to services of this machine or its network. A name is therefore
resolved once, every address that it has is checked, and the connection goes to one of exactly these. All of this is
``GuardedNetwork.connect_tcp``, the only place where a connection is made: nothing can resolve the name anew (DNS
rebinding), odd spellings such as ``127.1`` are checked as what they lead to, and TLS still proves the name, for
httpcore knows nothing else.
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
_TUNNELS = [ipaddress.ip_network(net) for net in ("2001::/32", "2002::/16")]  # Teredo, 6to4: any IPv4 address inside
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # how networks without IPv4 name the IPv4 address in the last 32 bits
_PRIVATE = [
    ipaddress.ip_network(net)
    for net in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"),
        *("100.64.0.0/10", "198.18.0.0/15"),  # what VPN programs give, the latter for every name
    )
]
_METADATA = {
    ipaddress.ip_address(one)
    for one in ("100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254")  # the other clouds: link-local
}
"""Where clouds tell a machine its secrets; refused always."""


class GuardedNetwork(httpcore.NetworkBackend):
    """Resolves, checks and connects; ``private`` then says whether an address was of the local network."""

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
            share = _left(self.deadline) / (len(addresses) - number + 1)  # one that is silent must not use up all time
            try:
                return _Hurried(httpcore.SyncBackend().connect_tcp(address, port, share), self.deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(addresses):
                    raise
        raise IndexingError(f"{host} has no address")


class _Hurried(httpcore.NetworkStream):
    """A connection whose every wait ends at the deadline, also when bytes drip in one by one."""

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
    """Seconds until the deadline, more than zero: to a socket, zero means something else."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise httpcore.ReadTimeout
    return seconds


def _resolve(host: str, port: int, seconds: float) -> list[str]:
    """The addresses of a name, asked for once. In a thread of its own, for a resolver cannot be interrupted."""
    answer: Future[list[str]] = Future()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.set_result(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
        except (OSError, UnicodeError) as error:
            answer.set_exception(IndexingError(f"the host {host} is not known ({error})"))

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answer.result(seconds)
    except TimeoutError:
        raise httpcore.ConnectTimeout from None


def _is_private(address: str, allow_private: bool) -> bool:
    """Whether an address is of this machine or the local network; raises where it may not be connected to."""
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
    remedy = "; --allow-private permits addresses of the local network that you give yourself" if private else ""
    raise IndexingError(f"its host is at {address}, which is no address of the public internet{remedy}")
