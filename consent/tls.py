"""A certificate for pages within the shop: an authority of the shop's own, and what it signs.

    shop-tls/authority.pem   trusted once by each tablet and laptop; its SHA-256 is compared on the screen
    shop-tls/authority.key   0600; may sign for the named hosts only, so a thief can pretend to be nobody else
    shop-tls/server.pem      what the listener shows, for `LASTS`
    shop-tls/server.key      0600

Rules:
- Nothing of this lies in the state directory, so no backup of the shop holds the authority's key.
- The authority is made for fixed names and never quietly replaced: every device would have to trust the new one.
- A certificate that still holds long enough for the same names is left alone.

Shoppers' phones trust no authority of a shop: for them a public name with a public certificate is needed, see
docs/phone.md.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from consent.events import ConsentError

LASTS = timedelta(days=397)  # what browsers accept at most from public authorities; ours keeps to it
AUTHORITY_LASTS = timedelta(days=3650)
RENEW_BEFORE = timedelta(days=30)
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9-]{1,63})*")


class TlsError(ConsentError):
    """A certificate cannot be made as asked."""


@dataclass(frozen=True, slots=True)
class Made:
    """What lies in the directory now.

    Attributes:
        authority: certificate that devices trust.
        certificate: what a listener shows.
        key: its private key.
        until: when the certificate ends.
        fingerprint: SHA-256 of the authority, as devices show it.
        renewed: a new certificate was made just now.
    """

    authority: Path
    certificate: Path
    key: Path
    until: datetime
    fingerprint: str
    renewed: bool


def make(
    directory: Path, hosts: Sequence[str], *, now: datetime, state: Path | None = None, renew: bool = False
) -> Made:
    """Make a certificate for the hosts, and the authority where there is none.

    Args:
        directory: where the files lie; it is made with mode 0700.
        hosts: names and addresses, the first one first.
        now: an instant with its zone.
        state: the state directory, which must not hold it.
        renew: make a new certificate even where the present one still holds.

    Raises:
        TlsError: a host is none, the place is unfit, or the authority was made for other names.
    """
    names = [_name(host) for host in dict.fromkeys(hosts)]
    if not names:
        raise TlsError("name the host for which the certificate is, as the browser will write it")
    if state is not None and directory.resolve().is_relative_to(state.resolve()):
        raise TlsError(f"the authority's key must not lie in the state directory {state}; name another place")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    paths = [directory / name for name in ("authority.pem", "authority.key", "server.pem", "server.key")]
    if not paths[0].exists() and not paths[1].exists():
        _make_authority(paths[0], paths[1], names, now)
    authority, signer = _load(paths[0], paths[1])
    _check_covers(authority, names, directory)
    renewed = renew or not _still_good(paths[2], paths[3], authority, names, now)
    if renewed:
        _make_server(paths[2], paths[3], authority, signer, names, now)
    until = x509.load_pem_x509_certificate(paths[2].read_bytes()).not_valid_after_utc
    shown = authority.fingerprint(hashes.SHA256()).hex(":").upper()
    return Made(paths[0], paths[2], paths[3], until, shown, renewed)


def context(authority: Path | None = None) -> ssl.SSLContext:
    """Return what a caller checks certificates with: the machine's authorities, or one file's alone.

    Raises:
        TlsError: the file holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=None if authority is None else str(authority))
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"{authority} holds no certificate of an authority; check the path") from error


def _name(host: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ip_address(host.strip("[]")))
    except ValueError:
        pass
    if not _HOST.fullmatch(host) or len(host) > 253 or host.replace(".", "").isdecimal():
        raise TlsError(f"{host!r} is no host; write a name such as kiosk.shop.example, or an address")
    return x509.DNSName(host.lower())


def _subject(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _make_authority(pem: Path, key: Path, names: Sequence[x509.GeneralName], now: datetime) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = _subject(f"openaisle authority for {names[0].value}")
    permitted: list[x509.GeneralName] = [
        x509.IPAddress(ip_network(n.value)) if isinstance(n, x509.IPAddress) else n for n in names
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + AUTHORITY_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )
    _write(key, _private_pem(private))
    _write(pem, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)


def _make_server(
    pem: Path,
    key: Path,
    authority: x509.Certificate,
    signer: ec.EllipticCurvePrivateKey,
    names: Sequence[x509.GeneralName],
    now: datetime,
) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_subject(str(names[0].value)))
        .issuer_name(authority.subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(min(now + LASTS, authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    _write(key, _private_pem(private))
    _write(pem, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _load(pem: Path, key: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        certificate = x509.load_pem_x509_certificate(pem.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise TlsError(f"{pem.parent} holds half an authority; restore it, or name a new directory") from error
    if not isinstance(private, ec.EllipticCurvePrivateKey) or certificate.public_key() != private.public_key():
        raise TlsError(f"{key} is not the key of {pem}; restore it, or name a new directory")
    return certificate, private


def _check_covers(authority: x509.Certificate, names: Sequence[x509.GeneralName], directory: Path) -> None:
    found = authority.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
    known = {str(n.value).removesuffix("/32").removesuffix("/128") for n in found}
    if other := [str(n.value) for n in names if str(n.value) not in known]:
        raise TlsError(
            f"the authority in {directory} is for {', '.join(sorted(known))} and may not sign for {', '.join(other)}; "
            "name a new directory, and have the devices trust its authority"
        )


def _still_good(
    pem: Path, key: Path, authority: x509.Certificate, names: Sequence[x509.GeneralName], now: datetime
) -> bool:
    try:
        found = x509.load_pem_x509_certificate(pem.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
        found.verify_directly_issued_by(authority)
        told = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    fits = found.public_key() == private.public_key() and list(told) == list(names)
    return fits and found.not_valid_before_utc <= now < found.not_valid_after_utc - RENEW_BEFORE


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, value: bytes, *, mode: int = 0o600) -> None:
    """Replace a file at once; it never exists with another mode."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:  # noqa: PTH123  takes a number
        file.write(value)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
