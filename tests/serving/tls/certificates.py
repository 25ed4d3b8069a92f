"""Certificates for tests, made by `cryptography`: an authority, and what it signs."""

import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


def _now():
    return datetime.datetime.now(datetime.UTC)


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(thing):
    return thing.public_bytes(serialization.Encoding.PEM)


class Pair:
    """A certificate and its key, as files."""

    def __init__(self, folder, name, certificate, key):
        self.certificate, self.key = certificate, key
        self.key_pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.pem = _pem(certificate)
        self.cert_path, self.key_path = folder / f"{name}.pem", folder / f"{name}.key"
        self.cert_path.write_bytes(self.pem)
        put(self.key_path, self.key_pem)

    @property
    def serial(self):
        return self.certificate.serial_number


def put(path, content):
    """Writes a file that only its owner may read in the place of another, as tools that rotate certificates do."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.chmod(0o600)
    os.replace(new, path)


class Authority:
    def __init__(self, folder, name="ca"):
        self.folder, self.subject, self.key = folder, _name(name), ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(self.subject, self.key, ca=True)
        self.pem = _pem(self.certificate)
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(self.pem)

    def _sign(self, subject, key, ca=False, days=30, use=None):
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_now() - 10 * DAY)
            .not_valid_after(_now() + days * DAY)
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if not ca:
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        else:
            usage = dict.fromkeys(
                ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
                 "encipher_only", "decipher_only"], False
            )  # fmt: skip
            builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
        return builder.sign(self.key, hashes.SHA256())

    def server(self, name="server", days=30):
        key = ec.generate_private_key(ec.SECP256R1())
        signed = self._sign(_name(name), key, days=days, use=ExtendedKeyUsageOID.SERVER_AUTH)
        return Pair(self.folder, name, signed, key)

    def client(self, name="client", days=30):
        key = ec.generate_private_key(ec.SECP256R1())
        signed = self._sign(_name(name), key, days=days, use=ExtendedKeyUsageOID.CLIENT_AUTH)
        return Pair(self.folder, name, signed, key)

    def revoked(self, *pairs):
        """A list that revokes these certificates, as PEM."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.subject)
        builder = builder.last_update(_now() - DAY).next_update(_now() + DAY)
        for pair in pairs:
            row = x509.RevokedCertificateBuilder().serial_number(pair.serial).revocation_date(_now() - DAY)
            builder = builder.add_revoked_certificate(row.build())
        return _pem(builder.sign(self.key, hashes.SHA256()))
