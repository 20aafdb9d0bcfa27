"""The relay that other tests break their connections with."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from saas.testing.servers.fault_proxy import FaultProxy, Mode


@pytest.fixture
def echo():
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(4) as pool:

        def serve():
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                pool.submit(answer, peer)

        def answer(peer):
            with peer:
                while data := peer.recv(100):
                    peer.sendall(data)

        pool.submit(serve)
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(echo):
    with FaultProxy(echo) as proxy:
        yield proxy


def connect(proxy, seconds=5):
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=seconds)


def test_it_passes_on_what_is_said_in_both_directions(proxy):
    with connect(proxy) as peer:
        peer.sendall(b"hello")
        assert peer.recv(100) == b"hello"


def test_it_closes_all_connections_and_listens_again_on_the_same_port(proxy):
    with connect(proxy) as peer:
        proxy.mode = Mode.REFUSE

        with pytest.raises(ConnectionRefusedError):
            connect(proxy)
        assert closed(peer)

    proxy.mode = Mode.UP
    with connect(proxy) as peer:
        peer.sendall(b"again")
        assert peer.recv(100) == b"again"


def test_a_black_hole_keeps_what_is_said_until_the_network_is_whole_again(proxy):
    with connect(proxy, seconds=0.2) as peer:
        proxy.mode = Mode.BLACK_HOLE
        peer.sendall(b"hello")
        with pytest.raises(TimeoutError):
            peer.recv(100)

        peer.settimeout(5)
        proxy.mode = Mode.UP
        assert peer.recv(100) == b"hello"


def test_a_reset_hits_what_is_open_and_what_connects(proxy):
    with connect(proxy) as peer:
        proxy.mode = Mode.RESET

        assert closed(peer)
        assert refused(proxy)


def refused(proxy):
    """The reset may come before ``connect`` has returned."""
    try:
        with connect(proxy) as late:
            return closed(late)
    except ConnectionError:
        return True


def closed(peer):
    try:
        return peer.recv(100) == b""
    except ConnectionError:
        return True
