"""Which addresses a URL of somebody else's may lead to. Pure.

A template names URLs, and our processes stand inside a network that its author may not see: only
addresses of the public internet are open, and what the operator has listed.
"""

from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network

# IPv6 prefixes whose last four bytes are an IPv4 address: compatible, mapped, NAT64 (RFC 6052).
_CARRIES_IPV4 = tuple(ip_network(text) for text in ("::/96", "::ffff:0:0/96", "64:ff9b::/96"))
# Local-use NAT64 (RFC 8215), site-local, Azure's metadata at a public address, protocols' own.
_CLOSED = tuple(
    ip_network(text)
    for text in (
        "64:ff9b:1::/48",
        "fec0::/10",
        "168.63.129.16/32",
        "192.0.0.0/24",
    )
)


@dataclass(frozen=True)
class AllowList:
    """Hosts and networks that the operator opens although they are internal."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[_Network, ...] = ()

    def opens(self, host: str, address: str) -> bool:
        """Whether `host`, or the address that it has, is listed."""
        return host.lower() in self.hosts or any(_in(_read(address), n) for n in self.networks)

    def opens_host(self, host: str) -> bool:
        """Whether `host` is listed by its name, or is an address that is."""
        try:
            return self.opens(host, host)
        except ValueError:
            return host.lower() in self.hosts


def read_allow_list(text: str) -> AllowList:
    """`crm.internal, 10.0.0.0/8, 127.0.0.1` as a list.

    Raises:
        ValueError: a part is neither a host nor a network.

    """
    hosts, networks = set(), []
    for part in filter(None, (part.strip().lower() for part in text.split(","))):
        try:
            networks.append(ip_network(part))
        except ValueError:
            if "/" in part or ":" in part:
                raise ValueError(
                    f"{part!r} is no host or network: write crm.internal,10.0.0.0/8"
                ) from None
            hosts.add(part)
    return AllowList(frozenset(hosts), tuple(networks))


def is_public(address: str) -> bool:
    """Whether an address belongs to the public internet: nobody's own machine or network.

    Raises:
        ValueError: it is no IP address.

    """
    found = _read(address)
    return found.is_global and not found.is_multicast and not any(_in(found, n) for n in _CLOSED)


def _read(address: str) -> _Address:
    """The address that packets would go to in the end."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        if any(_in(found, network) for network in _CARRIES_IPV4):
            return IPv4Address(int(found) & 0xFFFFFFFF)
        if found.sixtofour is not None:
            return found.sixtofour
        if found.teredo is not None:
            return found.teredo[1]
    return found


def _in(address: _Address, network: _Network) -> bool:
    return address.version == network.version and address in network
