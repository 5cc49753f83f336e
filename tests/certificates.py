"""An authority of a home's own, and what it signs, for tests of TLS."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Pair:
    """Where a certificate and its private key lie, both in PEM form."""

    cert: Path
    key: Path


class Authority:
    """Signs certificates into a folder; its own is `ca`."""

    def __init__(self, folder: Path, name: str = "home") -> None:
        """Make its key and its certificate."""
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named(f"{name} authority")
        made = self._begun(self._name, self._key, timedelta(days=1))
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.ca = folder / f"{name}-ca.crt"
        self.ca.write_bytes(made.sign(self._key, SHA256()).public_bytes(Encoding.PEM))

    def sign(self, name: str, *, host: str = "127.0.0.1", ends: timedelta = timedelta(days=1)) -> Pair:
        """Return a certificate for a host's name or address; `ends`: from now on, behind us where it has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            known: x509.GeneralName = x509.IPAddress(ip_address(host))
        except ValueError:
            known = x509.DNSName(host)
        made = self._begun(_named(name), key, ends)
        made = made.add_extension(x509.SubjectAlternativeName([known]), critical=False)
        pair = Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        pair.cert.write_bytes(made.sign(self._key, SHA256()).public_bytes(Encoding.PEM))
        pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return pair

    def _begun(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, ends: timedelta) -> x509.CertificateBuilder:
        made = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key.public_key())
        made = made.serial_number(x509.random_serial_number())
        return made.not_valid_before(NOW - timedelta(days=3)).not_valid_after(NOW + ends)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
