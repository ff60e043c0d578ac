"""Which network a request came from, where single addresses are nobody's in particular."""

from ipaddress import IPv6Address, ip_address


def network_of(address: str) -> str:
    """The address, or what one household or host of IPv6 has: a /64."""
    if ":" not in address:
        return address
    try:
        known = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(known, IPv6Address):
        return address
    if known.ipv4_mapped:
        return str(known.ipv4_mapped)
    return known.exploded[:19]
