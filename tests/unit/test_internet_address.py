"""Which addresses a template's URL may lead to."""

import pytest

from outdial.domain.internet_address import AllowList, is_public, read_allow_list

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",  # metadata of most clouds
        "100.100.100.200",  # Alibaba's, in the carriers' shared space
        "168.63.129.16",  # Azure's
        "192.0.0.192",  # Oracle's
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::8.8.8.8",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",  # Teredo of 127.0.0.1
        "fe80::1%eth0",
        "fec0::1",
        "fd00:ec2::254",
        "ff02::1",
    ],
)
def test_what_belongs_to_a_network_of_somebodys_own_is_closed(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_the_internet_is_open(address: str) -> None:
    assert is_public(address)


def test_what_the_operator_lists_is_open_by_name_or_by_address() -> None:
    allowed = read_allow_list(" CRM.internal, 10.0.0.0/8 ,127.0.0.1,fd00::/8")
    assert allowed.opens("crm.internal", "192.168.1.1")
    assert allowed.opens("other.internal", "10.9.9.9")
    assert allowed.opens("other.internal", "::ffff:10.9.9.9")
    assert allowed.opens("localhost", "127.0.0.1")
    assert allowed.opens("x", "fd00::1")
    assert not allowed.opens("crm.internal.evil.test", "192.168.1.1")
    assert not allowed.opens("localhost", "127.0.0.2")
    assert allowed.opens_host("crm.internal")
    assert allowed.opens_host("10.1.1.1")
    assert not allowed.opens_host("192.168.1.1")
    assert not AllowList().opens_host("localhost")


@pytest.mark.parametrize("text", ["10.0.0.1/8", "http://x.test", "a/b", "::1::"])
def test_a_list_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no host or network"):
        read_allow_list(text)
