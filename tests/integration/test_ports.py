"""What the test support promises of ports."""

from __future__ import annotations

import socket

import pytest

from tests.support.ports import free_port


def test_a_port_is_given_once_and_can_be_listened_on() -> None:
    given = [free_port() for _ in range(50)]
    assert len(set(given)) == 50
    with socket.socket() as server:
        server.bind(("127.0.0.1", given[0]))
    with socket.socket(socket.AF_UNIX) as other, pytest.raises(OSError):
        other.bind(f"\0simpul-test-port-{given[0]}")
