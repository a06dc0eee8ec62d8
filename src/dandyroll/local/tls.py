"""TLS at home: the certificate's files, and the rule that nothing leaves the machine without."""

import ipaddress
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dandyroll.settings import BadSetting, Settings

_UNSET = Path()
_PEM_BEGIN, _PEM_END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_VERSION, _UTC_TIME = 0xA0, 0x17  # tags in DER


@dataclass(frozen=True)
class Tls:
    """A certificate and its key, proven to load and to belong together."""

    cert: Path
    key: Path


def read_tls(settings: Settings) -> Tls | None:
    """The files the settings name, tried; None where there are none.

    They are read once more when the server starts and never again: a renewed certificate needs
    a restart. Raises `BadSetting` that says which file is wrong and how.
    """
    cert, key = settings.tls_cert, settings.tls_key
    if cert == key == _UNSET:
        return None
    if _UNSET in (cert, key):
        missing = "tls_key" if key == _UNSET else "tls_cert"
        raise BadSetting(f"{missing}: expected both tls_cert and tls_key, or neither.")
    for name, path in (("tls_cert", cert), ("tls_key", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise BadSetting(f"{name}: {path} cannot be read ({error.strerror}).") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key, password=_refuse_password)
    except ssl.SSLError as error:
        raise BadSetting(_what_is_wrong(cert, key, error)) from None
    return Tls(cert, key)


def expires_at(cert: Path) -> float:
    """When a PEM file's first certificate ends, in epoch seconds.

    Python's ssl tells it of a peer's certificate alone, so the few fields before it are walked.
    Raises `ValueError` or `IndexError` for what is no certificate.
    """
    pem = cert.read_text("latin-1")
    start = pem.index(_PEM_BEGIN)
    der = ssl.PEM_cert_to_DER_cert(pem[start : pem.index(_PEM_END, start) + len(_PEM_END)])
    signed = _elements(_elements(der)[0][1])[0][1]
    fields = [content for tag, content in _elements(signed) if tag != _VERSION]
    tag, text = _elements(fields[3])[1]  # serial, algorithm, issuer, validity: from, until
    form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC).timestamp()


def _elements(der: bytes) -> list[tuple[int, bytes]]:
    """The elements one after another in DER: tag and content of each."""
    found, at = [], 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            digits = length & 0x7F
            length, at = int.from_bytes(der[at : at + digits], "big"), at + digits
        found.append((tag, der[at : at + length]))
        at += length
    return found


def check_exposure(settings: Settings) -> None:
    """Raise `BadSetting` where keys and pictures would cross a network unencrypted, unasked."""
    if settings.tls_cert != _UNSET or settings.allow_plain_http or is_loopback(settings.host):
        return
    raise BadSetting(
        f"host {settings.host}: off this machine, API keys and pictures would travel unencrypted. "
        "Give tls_cert and tls_key (--tls-cert, --tls-key), or, where a proxy in front has TLS, "
        "allow_plain_http (--insecure)."
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    try:
        found = socket.getaddrinfo(host, None) if host else []
    except (OSError, UnicodeError):
        return False
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    return bool(addresses) and all(address.is_loopback for address in addresses)


def server_url(host: str, port: int, tls: Tls | None) -> str:
    """The URL to reach the server by; under the machine's name where it listens everywhere."""
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared with, not listened on
        host = socket.gethostname()
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _refuse_password() -> str:
    return ""  # else OpenSSL would ask for one on the terminal


def _what_is_wrong(cert: Path, key: Path, error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"tls_key: {key} is not the key of the certificate {cert}."
    if "ENCRYPTED" in key.read_text("latin-1"):
        return f"tls_key: expected a key without a password; {key} is encrypted."
    if "-----BEGIN CERTIFICATE-----" not in cert.read_text("latin-1"):
        return f"tls_cert: expected a PEM certificate; {cert} holds none."
    if "PRIVATE KEY-----" not in key.read_text("latin-1"):
        return f"tls_key: expected a PEM private key; {key} holds none."
    return f"tls_cert, tls_key: {cert} and {key} cannot be used ({error.reason or error})."
