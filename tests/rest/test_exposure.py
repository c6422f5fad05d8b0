"""An address that others can reach has to be protected, or allowed not to be."""

from __future__ import annotations

import pytest

from llamawire.rest import ANONYMOUS, PLAINTEXT, ListenError, check_exposure, parse_address
from llamawire.rest.exposure import reaches_others

BOTH = (ANONYMOUS, PLAINTEXT)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_machines_own_addresses_need_nothing(host: str) -> None:
    assert not reaches_others(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.1.2.3", "192.0.2.1", "2001:db8::1"])
def test_all_other_addresses_can_be_reached(host: str) -> None:
    assert reaches_others(host)


def test_what_is_missing_and_what_would_do_are_named() -> None:
    address = parse_address("0.0.0.0:1")
    check_exposure("REST", address, (), ())
    check_exposure("REST", address, BOTH, BOTH)
    with pytest.raises(ListenError, match=r"LLAMAWIRE_API_KEY_FILE.*LLAMAWIRE_INSECURE=anonymous "):
        check_exposure("REST", address, BOTH, (PLAINTEXT,))
    with pytest.raises(ListenError, match=r"LLAMAWIRE_TLS_CERT.*LLAMAWIRE_INSECURE=plaintext "):
        check_exposure("REST", address, BOTH, (ANONYMOUS, "something else"))
    with pytest.raises(ListenError, match="LLAMAWIRE_INSECURE=anonymous,plaintext "):
        check_exposure("gRPC", address, BOTH, ())
    check_exposure("REST", parse_address("127.0.0.1:1"), BOTH, ())
