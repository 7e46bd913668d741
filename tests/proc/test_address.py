"""Who can get a member dialled at an address of his gains nothing by that."""

import socket
import threading

from lib.cluster import Cluster, free_ports
from lib.testing import expect, expect_equal, expect_in, wait_for


class Impostor:
    """Listens at a port, and serves each connection in a thread of its own."""

    def __init__(self, serve, port=0):
        self.listener = socket.create_server(("127.0.0.1", port))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.count = 0
        self._serve = serve
        threading.Thread(target=self._run, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def _run(self):
        while True:
            try:
                accepted = self.listener.accept()[0]
            except OSError:
                return
            self.count += 1
            threading.Thread(target=self._serve, args=(accepted,),
                             daemon=True).start()


def _copy(source, target):
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def relay_to(address):
    """Passes all on to somebody else, and the answers back."""
    host, port = address.split(":")

    def serve(accepted):
        with accepted, socket.create_connection((host, int(port))) as target:
            thread = threading.Thread(target=_copy, args=(target, accepted),
                                      daemon=True)
            thread.start()
            _copy(accepted, target)
            thread.join()
    return serve


def answer_with(text):
    def serve(accepted):
        with accepted:
            accepted.recv(1 << 16)
            accepted.sendall(text)
    return serve


def move(via, name, address, more=""):
    return via.fetch("PUT", f"/cluster/members/{name}?address={address}{more}")


def test_relay_of_a_member(test):
    """
    PUT makes the others dial a relay: what they say is refused by the member
    that it is passed on to, and all is well when the address is right again.
    """
    cluster = Cluster(test).start()
    leader = cluster.leader()
    node = cluster.followers()[0]
    port = free_ports(1)[0]
    answer = move(leader, node.name, f"127.0.0.1:{port}")
    expect_equal(answer.status, 200, f"where nobody is: {answer!r}")
    with Impostor(relay_to(node.address), port) as relay:
        node.wait_log(f"the hello was sent to {relay.address}, this node is "
                      f"at {node.address}")
        leader.wait_log(f"peer {node.name} ({relay.address}): connection not "
                        "made: the hello was sent to")
        expect(f"peer {node.name} ({relay.address}): connected"
               not in leader.read_log(), "the relay is connected")
        leader.put("key", b"without it")
        expect_equal(move(leader, node.name, node.address).status, 200,
                     "back again")
    node.wait_ready()
    wait_for("it has the value", lambda: node.fetch(
        "GET", "/kv/key?consistency=stale").body == b"without it")
    expect(relay.count > 0, "the relay was not asked")


def test_relay_of_a_probe(test):
    """A relay is no member, and not even by force the address of one."""
    cluster = Cluster(test).start()
    leader = cluster.leader()
    node = cluster.followers()[0]
    with Impostor(relay_to(node.address)) as relay:
        for more in ("", "&force=1"):
            answer = move(leader, node.name, relay.address, more)
            expect_equal((answer.status, answer.code), (409, "cannot_move"),
                         f"{answer!r}")
        node.wait_log(f"the hello was sent to {relay.address}")
        joining = cluster.add_node("n4", "wait")
        joining.restart()
    with Impostor(relay_to(joining.address)) as relay:
        answer = leader.fetch(
            "POST", f"/cluster/members?name=n4&address={relay.address}")
        expect_equal((answer.status, answer.code), (409, "cannot_join"),
                     f"{answer!r}")
        joining.wait_log(f"the hello was sent to {relay.address}")


def test_probe_tells_nothing(test):
    """
    Of whatever listens at an address, or does not, an answer says the same; no
    word of it gets out. The log says more.
    """
    cluster = Cluster(test).start()
    leader = cluster.leader()
    body = (b'{"code":"wrong_cluster","status":421,"title":"x",'
            b'"detail":"the word is xyzzy"}')
    texts = (
        b"",
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nxyzzy",
        b"HTTP/1.1 421 Misdirected\r\nContent-Length: %d\r\n\r\n%s"
        % (len(body), body),
    )
    details = set()
    for text in texts:
        with Impostor(answer_with(text)) as impostor:
            details.add(ask(leader, impostor.address))
    details.add(ask(leader, f"127.0.0.1:{free_ports(1)[0]}"))
    expect_equal(len(details), 1, f"details: {details}")
    expect_in("no luminousd that knows the cluster secret", details.pop(),
              "detail")
    expect_in("who is there: ", leader.read_log(), "log")


def ask(leader, address):
    """What is said of the address, without it."""
    answer = leader.fetch(
        "POST", f"/cluster/members?name=n4&address={address}")
    expect_equal((answer.status, answer.code), (409, "cannot_join"),
                 f"{answer!r}")
    expect(b"xyzzy" not in answer.body, f"{answer!r}")
    return answer.json()["detail"].replace(address, "ADDRESS")


def test_mistyped_moves(test):
    """
    One wrong address is borne; a second would leave the leader alone, and is
    asked for by force only.
    """
    cluster = Cluster(test).start()
    leader = cluster.leader()
    first, second = cluster.followers()
    ports = free_ports(2)
    answer = move(leader, first.name, f"127.0.0.1:{ports[0]}")
    expect_equal(answer.status, 200, f"{answer!r}")
    answer = move(leader, second.name, f"127.0.0.1:{ports[1]}")
    expect_equal((answer.status, answer.code), (409, "would_lose_quorum"),
                 f"{answer!r}")
    leader.put("key", b"value")
    # Right again, and again: it is so already.
    for _ in range(2):
        answer = move(leader, first.name, first.address)
        expect_equal(answer.status, 200, f"{answer!r}")
    cluster.wait_ready()
