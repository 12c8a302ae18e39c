"""Messages that are wrong in every way, from somebody who has the key: a small part of ``tests.soak.fuzz``."""

from __future__ import annotations

import itertools

import pytest

from backend.client.connection import Client
from protocol import messages as m
from protocol.codec import ProtocolError
from tests.soak.mutate import Mutator


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_wrong_with_a_message_is_told_in_one_way(seed):
    for frames in itertools.islice(Mutator(seed), 3000):
        try:
            m.unpack(frames)
        except ProtocolError as error:
            assert error.message and not any(ord(letter) < 32 for letter in error.message)


@pytest.mark.slow
def test_a_backend_answers_honest_clients_through_a_flood_of_them(server, client):
    with Client(server.endpoint) as hostile:
        for frames in itertools.islice(Mutator(3), 1500):
            hostile._link._socket.send_multipart(frames)
        assert client.heads().heads and client.jobs() is not None
        assert hostile.welcome.capabilities
