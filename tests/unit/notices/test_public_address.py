"""Webhooks go to public addresses alone, unless the operator says otherwise: whatever form an inner address takes."""

import pytest

from gateway.notices.public_address import is_public, public_address

INNER = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "255.255.255.255",
    "224.0.0.1", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "fec0::1", "2001:db8::1", "fe80::1%eth0", "not-an-address", "",
]  # fmt: skip


@pytest.mark.parametrize("address", INNER)
def test_an_address_that_is_not_everybodys_is_refused(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "64:ff9b::1.1.1.1"])
def test_a_public_address_is_taken(address):
    assert is_public(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0x7f000001", "2130706433", "127.1"])
async def test_a_name_or_number_that_leads_inside_leads_nowhere(host):
    with pytest.raises(OSError, match=r"public|known|service|Name"):
        await public_address(host, 443)
