"""Requests to addresses that somebody else has chosen: never into a network of ours, never redirected, never read.

A name is resolved once; each of its addresses is looked at, and the connection is made to one that was looked at, so
that a name which answers otherwise the second time gains nothing. TLS and the Host header still go by the name.
"""

import re
import socket
import ssl
from collections.abc import Callable, Mapping
from functools import cache
from http.client import HTTPConnection, HTTPException
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from threading import Event, Timer
from typing import Any, NamedTuple
from urllib.parse import urlsplit

SECONDS_MAX = 15.0  # from the connection to the answer's headers; what follows them is not read
URL_LENGTH_MAX = 500
PORTS = {"https": 443, "http": 80}

_PLAIN = re.compile(r"[!-~]+")  # no blank, no control character, nothing that a parser could drop or turn
_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
# What ends in a number is an address to a resolver, however it is written (0x7f.1, 2130706433): we read one way only.
_NUMERIC = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")
# Open by their number, and yet of the cloud that a machine stands in: its platform answers there.
_OF_A_CLOUD = frozenset({IPv4Address("168.63.129.16")})
# Addresses of IPv4 in the clothes of IPv6: where the four bytes stand. (Mapped and 6to4 Python knows itself.)
_TRANSLATED = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))

Resolve = Callable[[str, int], list[str]]


class AddressRefused(Exception):
    """Not an address that we call: its code says why."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class Target(NamedTuple):
    """Where a request goes, of a URL that `parse` found good."""

    scheme: str
    host: str
    port: int
    path: str


class Answer(NamedTuple):
    """An answer's status, or why there was none; `retry_seconds` where it asked for that."""

    status: int | None
    failure: str | None = None
    retry_seconds: int | None = None

    @property
    def good(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def parse(url: str, local: bool = False) -> Target:
    """The target of `https://host[:port]/path[?query]`, nothing else; `local` allows http, and this machine itself.

    AddressRefused `url_not_https`, `url_not_plain` (user, password, fragment, other characters) or `address_refused`.
    """
    if len(url) > URL_LENGTH_MAX or not _PLAIN.fullmatch(url) or "\\" in url:
        raise AddressRefused("url_not_plain")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise AddressRefused("url_not_plain") from None
    if parts.scheme != "https" and not (local and parts.scheme == "http"):
        raise AddressRefused("url_not_https")
    if "@" in parts.netloc or "#" in url or port == 0 or not (_is_name(host) or _literal(host)):
        raise AddressRefused("url_not_plain")
    if _literal(host) and not _allowed(host, local):
        raise AddressRefused("address_refused")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or PORTS[parts.scheme], path)


def is_public(address: str) -> bool:
    """Whether an address is one of the open internet, whatever notation hides it."""
    ip = _literal(address)
    while isinstance(ip, IPv6Address) and (inner := _inner(ip)):
        ip = inner
    if ip is None or not ip.is_global or ip in _OF_A_CLOUD:
        return False
    special = ip.is_private or ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_reserved
    return not (special or ip.is_unspecified or (isinstance(ip, IPv6Address) and ip.is_site_local))


def _allowed(address: str, local: bool) -> bool:
    ip = _literal(address)
    return is_public(address) or (local and ip is not None and ip.is_loopback)


def resolve(host: str, port: int) -> list[str]:
    """Every address of the name. Raises socket.gaierror."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class Courier:
    """Takes messages out. `local` is for development: http, and the loopback addresses of this machine."""

    def __init__(
        self,
        local: bool = False,
        resolve: Resolve = resolve,
        context: ssl.SSLContext | None = None,
        seconds_max: float = SECONDS_MAX,
    ) -> None:
        self.local = local
        self._resolve = resolve
        self._context = context
        self._seconds_max = seconds_max

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """One attempt. Every way in which it can fail is an answer."""
        late = Event()
        try:
            target = parse(url, self.local)
            with self._connect(target) as sock:
                return self._ask(target, sock, late, headers, body)
        except AddressRefused:
            return Answer(None, "address_refused")
        except TimeoutError:
            return Answer(None, "timeout")
        except (socket.gaierror, UnicodeError):  # a name that cannot even be asked for is a UnicodeError
            return Answer(None, "unknown_host")
        except ssl.SSLError:
            return Answer(None, "timeout" if late.is_set() else "tls")
        except ConnectionRefusedError:
            return Answer(None, "refused")
        except (HTTPException, OSError):
            return Answer(None, "timeout" if late.is_set() else "broken_off")

    def _connect(self, target: Target) -> socket.socket:
        addresses = self._resolve(target.host, target.port)
        if not addresses or not all(_allowed(address, self.local) for address in addresses):
            raise AddressRefused("address_refused")
        plain = socket.create_connection((addresses[0], target.port), timeout=self._seconds_max)
        if target.scheme == "http":
            return plain
        try:
            return (self._context or _trusting_authorities()).wrap_socket(plain, server_hostname=target.host)
        except BaseException:
            plain.close()
            raise

    def _ask(self, target: Target, sock: socket.socket, late: Event, headers: Mapping[str, str], body: bytes) -> Answer:
        # A timeout of the socket is for each byte: one that comes in drops would hold us for ever.
        watch = Timer(self._seconds_max, _hang_up, (sock, late))
        watch.daemon = True
        watch.start()
        connection = HTTPConnection(target.host, target.port)
        connection.sock = sock
        try:
            connection.request("POST", target.path, body, dict(headers))
            with connection.getresponse() as response:
                asked = response.headers.get("Retry-After", "")
                seconds = int(asked) if re.fullmatch("[0-9]{1,6}", asked) else None
                return Answer(response.status, None, seconds)
        finally:
            watch.cancel()
            connection.close()


def _hang_up(sock: socket.socket, late: Event) -> None:
    late.set()
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # It has ended by itself.


@cache
def _trusting_authorities() -> ssl.SSLContext:
    return ssl.create_default_context()


def _is_name(host: str) -> bool:
    return bool(_HOST.fullmatch(host)) and not _NUMERIC.fullmatch(host)


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _inner(ip: IPv6Address) -> Any:
    """The IPv4 address inside one of IPv6, if there is one."""
    if any(ip in network for network in _TRANSLATED):
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour
