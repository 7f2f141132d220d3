"""Requests to addresses of others' choosing: where they never go, and what becomes of the rest."""

import datetime as dt
import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from models.outbound import AddressRefused, Answer, Courier, Target, is_public, parse
from tests.receiver import listening

NAME = "hooks.example.com"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "0.1.2.3",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "100.127.255.254",
        "::ffff:168.63.129.16",
        "192.0.2.1",
        "198.18.0.1",
        "203.0.113.9",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd12:3456::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "localhost",
        "",
        "127.1",
        "0x7f000001",
        "2130706433",
    ],
)
def test_an_address_that_is_not_of_the_open_internet_is_none(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "223.5.5.5", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_an_address_of_the_open_internet_is_one(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://example.com", Target("https", "example.com", 443, "/")),
        ("https://Example.COM:8443/a/b?c=d", Target("https", "example.com", 8443, "/a/b?c=d")),
        ("https://" + "a" * 63 + ".1a.xn--fiqs8s/", Target("https", "a" * 63 + ".1a.xn--fiqs8s", 443, "/")),
        ("https://8.8.8.8/", Target("https", "8.8.8.8", 443, "/")),
        ("https://[2606:4700::1111]/x", Target("https", "2606:4700::1111", 443, "/x")),
    ],
)
def test_a_plain_url_is_read(url: str, target: Target) -> None:
    assert parse(url) == target


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "192.168.1.1", "[fe80::1]"])
def test_development_may_call_this_machine_and_no_other_of_its_network(host: str) -> None:
    assert parse("http://127.0.0.1:8000/", local=True).host == "127.0.0.1"
    with pytest.raises(AddressRefused) as refused:
        parse(f"http://{host}/", local=True)
    assert refused.value.code == "address_refused"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.com/", "url_not_https"),
        ("ftp://example.com/", "url_not_https"),
        ("file:///etc/passwd", "url_not_https"),
        ("//example.com/", "url_not_https"),
        ("", "url_not_plain"),
        ("https://", "url_not_plain"),
        ("https:///path", "url_not_plain"),
        ("https://user@example.com/", "url_not_plain"),
        ("https://user:secret@example.com/", "url_not_plain"),
        ("https://example.com/#part", "url_not_plain"),
        ("https://example.com:0/", "url_not_plain"),
        ("https://example.com:99999/", "url_not_plain"),
        ("https://example.com:x/", "url_not_plain"),
        ("https://exa mple.com/", "url_not_plain"),
        ("https://example.com/\r\nHost: other", "url_not_plain"),
        ("https://example.com\\@other.com/", "url_not_plain"),
        ("https://例子.cn/", "url_not_plain"),
        ("https://[::1/", "url_not_plain"),
        ("https://example.com/" + "a" * 500, "url_not_plain"),
        ("https://a..example.com/", "url_not_plain"),
        ("https://" + "a" * 64 + ".example.com/", "url_not_plain"),
        ("https://" + "a." * 127 + "com/", "url_not_plain"),
        ("https://-a.example.com/", "url_not_plain"),
        ("https://a-.example.com/", "url_not_plain"),
        ("https://0x7f.1/", "url_not_plain"),
        ("https://0x7f000001/", "url_not_plain"),
        ("https://2130706433/", "url_not_plain"),
        ("https://0177.0.0.1/", "url_not_plain"),
        ("https://127.1/", "url_not_plain"),
        ("https://8.8.8.0x8/", "url_not_plain"),
        ("https://168.63.129.16/", "address_refused"),
        ("https://100.64.0.1/", "address_refused"),
        ("https://127.0.0.1/", "address_refused"),
        ("https://[::1]/", "address_refused"),
        ("https://[::ffff:10.0.0.1]/", "address_refused"),
        ("https://169.254.169.254/latest/meta-data", "address_refused"),
    ],
)
def test_any_other_url_is_refused_with_its_reason(url: str, code: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        parse(url)
    assert refused.value.code == code


@given(st.text() | st.text().map("https://{}".format))
def test_whatever_is_typed_is_read_or_refused(url: str) -> None:
    try:
        target = parse(url)
    except AddressRefused:
        return
    assert target.path.startswith("/")
    assert target.path.isascii()


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["10.0.0.1", "8.8.8.8"], ["::ffff:127.0.0.1"], []],
)
def test_a_name_with_one_address_inside_is_not_called(addresses: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> socket.socket:
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket, "create_connection", never)
    courier = Courier(resolve=lambda host, port: addresses)
    assert courier.post(f"https://{NAME}/", {}, b"") == Answer(None, "address_refused")


def test_the_connection_is_made_to_the_address_that_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name answers otherwise each time it is asked: what it says the second time is never used."""
    answers, called = iter([["8.8.8.8"], ["127.0.0.1"]]), []

    def keep(address: tuple[str, int], timeout: float) -> socket.socket:
        called.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", keep)
    courier = Courier(resolve=lambda host, port: next(answers))
    assert courier.post(f"https://{NAME}/", {}, b"") == Answer(None, "refused")
    assert called == [("8.8.8.8", 443)]


def test_a_name_that_cannot_be_asked_for_is_unknown() -> None:
    def resolve(host: str, port: int) -> list[str]:
        return [str("a..b".encode("idna"))]  # as socket.getaddrinfo does

    assert Courier(resolve=resolve).post(f"https://{NAME}/", {}, b"") == Answer(None, "unknown_host")


@pytest.mark.parametrize(("status", "good"), [(200, True), (204, True), (299, True), (302, False), (404, False)])
def test_an_answer_is_its_status(status: int, good: bool) -> None:
    with listening() as receiver:
        receiver.answers = [status]
        receiver.headers = {"Location": receiver.url()}
        answer = Courier(local=True).post(receiver.url(), {"x-test": "1"}, b"body")
        assert (answer.status, answer.good, answer.failure) == (status, good, None)
        (received,) = receiver.received  # a redirection is not followed
    assert (received.path, received.body, received.headers["x-test"]) == ("/hook", b"body", "1")


@pytest.mark.parametrize(("asked", "seconds"), [("120", 120), ("soon", None), ("-5", None), ("9" * 9, None)])
def test_an_answer_may_ask_to_come_later(asked: str, seconds: int | None) -> None:
    with listening() as receiver:
        receiver.answers, receiver.headers = [503], {"Retry-After": asked}
        assert Courier(local=True).post(receiver.url(), {}, b"").retry_seconds == seconds


def test_nobody_who_answers_is_refused() -> None:
    with listening() as receiver:
        url = receiver.url()
    assert Courier(local=True).post(url, {}, b"") == Answer(None, "refused")


def test_whoever_does_not_answer_in_time_is_left() -> None:
    with listening() as receiver:
        receiver.gate.clear()
        answer = Courier(local=True, seconds_max=0.2).post(receiver.url(), {}, b"")
    assert answer == Answer(None, "timeout")


def test_whoever_answers_drop_by_drop_is_left_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def drip() -> None:
            peer, _ = server.accept()
            with peer:
                try:
                    while True:
                        peer.sendall(b"H")
                        if stop.wait(0.05):
                            return
                except OSError:
                    return

        stop = threading.Event()
        thread = threading.Thread(target=drip)
        thread.start()
        answer = Courier(local=True, seconds_max=0.3).post(f"http://127.0.0.1:{port}/", {}, b"")
        stop.set()
        thread.join()
    assert answer == Answer(None, "timeout")


def test_a_name_that_nobody_has_is_told() -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror

    assert Courier(resolve=resolve).post(f"https://{NAME}/", {}, b"") == Answer(None, "unknown_host")


def test_tls_and_the_host_header_go_by_the_name_and_not_by_the_address(tmp_path: Path) -> None:
    authority, serving = certificate(tmp_path, NAME)
    seen: list[str | None] = []
    serving.sni_callback = lambda sock, name, context: seen.append(name)
    with listening(serving) as receiver:
        courier = Courier(local=True, resolve=lambda host, port: ["127.0.0.1"], context=authority)
        assert courier.post(receiver.url(NAME), {}, b"{}").status == 204
        assert receiver.received[0].headers["host"] == f"{NAME}:{receiver.port}"
    assert seen == [NAME]


def test_a_certificate_of_another_name_is_not_trusted(tmp_path: Path) -> None:
    authority, serving = certificate(tmp_path, "other.example.com")
    with listening(serving) as receiver:
        courier = Courier(local=True, resolve=lambda host, port: ["127.0.0.1"], context=authority)
        assert courier.post(receiver.url(NAME), {}, b"{}") == Answer(None, "tls")
        assert receiver.received == []


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Who trusts, and who shows, a certificate of the name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(pem)
    return ssl.create_default_context(cafile=str(pem)), serving
