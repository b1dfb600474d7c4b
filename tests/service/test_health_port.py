import grpc
import pytest
from grpc_health.v1 import health_pb2

from nearhash_index.errors import InvalidInput
from nearhash_index.store import DataDirectory
from nearhash_service.access.followed_certificates import FollowedCertificates
from nearhash_service.config import ServerSection, TLSSection
from nearhash_service.processes.health_port import HealthPort
from nearhash_service.server import Server

from .certificates import Authority
from .running import connected


@pytest.fixture
def health_port(tmp_path, data):
    """A server that speaks TLS alone, its health port, and the address of the latter."""
    certificate, key = Authority(tmp_path, "authority").issue("server")
    certificates = FollowedCertificates(TLSSection(certificate=certificate, key=key))
    address = f"unix:{tmp_path}/health"
    with Server(DataDirectory(data), f"unix:{tmp_path}/socket", certificates=certificates) as server:
        port = HealthPort(server.told_health, address)
        yield server, port, address
        port.close()


def test_it_tells_the_health_of_a_server_that_speaks_tls(health_port):
    server, _, address = health_port
    with connected(address) as stubs:
        assert stubs.health("") == stubs.health("nearhash.v1.LookupService") == "SERVING"
        server.told_health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        assert stubs.health("") == "NOT_SERVING"


def test_it_answers_nothing_else(health_port):
    _, _, address = health_port
    with connected(address) as stubs:
        for call in (stubs.status, stubs.lookup):
            with pytest.raises(grpc.RpcError) as caught:
                call()
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_it_closes(health_port):
    _, port, address = health_port
    port.close()
    with connected(address) as stubs, pytest.raises(grpc.RpcError) as caught:
        stubs.health("")
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(("listen", "told"), [("127.0.0.1:0", "port 0 would be another one"), ("50052", "no address")])
def test_a_bad_address_is_refused(tmp_path, listen, told):
    with pytest.raises(InvalidInput, match=told):
        ServerSection(data=tmp_path, health_listen=listen)
