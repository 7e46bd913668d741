"""A sender on the peers' connections that knows what a member knows, and
says what no member would."""

import hashlib
import hmac
import json
import secrets

from lib import http


def crc32c(data):
    """Castagnoli's CRC, bit by bit: slow, and short."""
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return f"{crc ^ 0xffffffff:08x}"


def _sized(data):
    return len(data).to_bytes(4, "big") + data


class Peer:
    """One connection to a node, as if from another member."""

    def __init__(self, cluster, node, sender):
        self.cluster = cluster
        self.node = node
        self.sender = cluster.nodes.index(sender) + 1
        self.receiver = cluster.nodes.index(node) + 1
        self.boot = secrets.token_hex(8).replace("0", "1")
        self.incarnation = 1
        self.former_boots = "0" * 128
        self.client = http.Client(node.address)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def post(self, path, body, headers=()):
        if isinstance(body, dict):
            body = json.dumps(body, separators=(",", ":")).encode()
        return self.client.request("POST", path, body, headers)

    def make_hello(self, answer=None):
        """A good hello, with what the node's own has told in `answer`."""
        nothing = "00" * 16
        known = answer or {}
        return {
            "version": 4, "purpose": "append", "nonce": secrets.token_hex(32),
            "stage": "member" if answer else "founding",
            "from": self.sender, "to": self.receiver,
            "to_address": self.node.member_address, "boot": self.boot,
            "incarnation": self.incarnation,
            "former_boots": self.former_boots,
            "term": known.get("term", 0),
            "last_index": known.get("last_index", 0),
            "generation": known.get("generation", 0),
            "damaged": False,
            "cluster": self.cluster.name,
            "cluster_id": known.get("cluster_id", nothing),
            "name": self.cluster.nodes[self.sender - 1].name,
            "directory": known.get("known_directory", "11" * 16),
            "known_directory": known.get("directory", nothing),
            "known_incarnation": 0, "known_boot": "0" * 16,
            "known_last_index": 0,
            "members_index": known.get("members_index", 0),
            "members": known.get("members") or [
                {"id": number + 1, "name": node.name,
                 "address": node.member_address, "directory": nothing}
                for number, node in enumerate(self.cluster)],
            "to_votes": bool(answer),
        }

    def learn(self):
        """What the node says in its hello, which it says to everybody."""
        answer = self.post("/raft/hello", self.make_hello())
        self.client.close()
        return answer.json()

    def take_life(self):
        """That of the sender: another one would be taken for a newer one, or
        for a copy, and one of the two would be shut out."""
        sender = self.cluster.nodes[self.sender - 1]
        if not sender.is_running():
            return
        with Peer(self.cluster, sender, self.node) as peer:
            life = peer.learn()
        self.boot = life["boot"]
        self.incarnation = life["incarnation"]
        self.former_boots = life["former_boots"]

    def prove(self, secret=None):
        """Hello and proof; the answer to the proof."""
        self.take_life()
        return self.prove_hello(self.make_hello(self.learn()), secret)

    def prove_hello(self, hello, secret=None):
        """This hello, and its proof; the answer to whichever is refused."""
        hello = json.dumps(hello, separators=(",", ":")).encode()
        answer = self.post("/raft/hello", hello)
        if answer.status != 200:
            return answer
        if secret is None:
            secret = self.cluster.secret.read_bytes().rstrip(b"\n")
        proof = hmac.new(
            secret, b"luminous client" + _sized(hello) + _sized(answer.body),
            hashlib.sha256).hexdigest()
        return self.post("/raft/proof", b"", [("Luminous-Proof", proof)])

    def send(self, path, message):
        """A message with a right checksum."""
        if isinstance(message, dict):
            message = json.dumps(message, separators=(",", ":")).encode()
        return self.post(path, message, [("Luminous-Crc32c",
                                          crc32c(message))])

    def make_append(self, **changes):
        """A message that would be an append, but for the changes."""
        message = {
            "kind": "append_request", "group": 1, "from": self.sender,
            "to": self.receiver, "term": 1, "boot": self.boot, "sequence": 1,
            "prev_index": 0, "prev_term": 0, "commit_index": 0,
            "everywhere_index": 0, "round": 1, "sent_at": 1,
            "state_index": 0, "agreed_index": 0,
            "agreed_hash": "0000000000000000", "entries": [],
        }
        message.update(changes)
        return message

    def make_vote(self, **changes):
        message = {
            "kind": "vote_request", "group": 1, "from": self.sender,
            "to": self.receiver, "term": 1, "boot": self.boot, "sequence": 1,
            "last_index": 1, "last_term": 1, "transfer": False,
        }
        message.update(changes)
        return message
