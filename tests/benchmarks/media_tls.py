"""TLS between bots and their providers, as it is outside: with the machine's authorities and ours.

A bot that loads the authorities for every connection takes as long over it here as it would there.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """Files: what the providers show, and whom the bots trust."""

    shown: Path
    trusted: Path

    @property
    def environment(self) -> dict[str, str]:
        """What Python's ssl, and the clients that bring a list of their own, read it from."""
        return {"SSL_CERT_FILE": str(self.trusted)}


def make_certificates(folder: Path) -> Certificates:
    """A certificate for the loopback address, by an authority that nobody else trusts."""
    made = Certificates(folder / "providers.pem", folder / "authorities.pem")
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(made.shown)
    usual = ssl.get_default_verify_paths().cafile
    others = Path(usual).read_bytes() if usual else b""
    made.trusted.write_bytes(others + authority.cert_pem.bytes())
    return made
