"""The rule of this folder: no network."""

import socket

import pytest
from pytest_socket import SocketBlockedError


def test_sockets_are_blocked_in_unit_tests():
    with pytest.warns(UserWarning, match="tried to use socket"), pytest.raises(SocketBlockedError):
        socket.socket(socket.AF_INET, socket.SOCK_STREAM)
