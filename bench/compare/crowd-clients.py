"""Clients that ask at once for the same thing, each on its own connection: crowd-clients.py <port> <path> <count>.

Prints a line when all have asked, then one line of JSON: of each client the status, the length of the body as it came, the moments of
the first and the last byte of it in milliseconds since 1970, and the SHA-1 of the first client's body. The kernel discards what the
other clients receive (MSG_TRUNC) instead of copying it: a crowd that ran on other machines would cost this one nothing.
"""
import hashlib
import json
import re
import selectors
import socket
import sys
import time

PIECE = 1 << 20
DEADLINE_SECONDS = 60


class Client:
    def __init__(self, port, path, is_hashed):
        self.hash = hashlib.sha1() if is_hashed else None
        self.status = self.length = self.expected = self.first = self.last = 0
        self.head = b""
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n".encode())
        self.socket.setblocking(False)

    def receive(self, buffer):
        """Takes what is there; false at the end."""
        is_head = not self.status
        if is_head or self.hash:
            count = self.socket.recv_into(buffer, PIECE if self.hash else 4096)
        else:
            count = self.socket.recv_into(buffer, PIECE, socket.MSG_TRUNC)
        if count == 0:
            self.last = time.time() * 1000
            return False
        piece = memoryview(buffer)[:count]
        if is_head:
            self.head += bytes(piece)
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return True
            head = self.head[:end].decode("latin1")
            self.status = int(head[9:12])
            if not (length := re.search(r"(?i)\r\ncontent-length: (\d+)", head)):
                sys.exit("the answer has no length")
            self.expected = int(length[1])
            piece = memoryview(self.head)[end + 4:]
            count = len(piece)
        if count and not self.first:
            self.first = time.time() * 1000
        if self.hash:
            self.hash.update(piece)
        self.length += count
        return True


def main(port, path, count):
    clients = [Client(port, path, i == 0) for i in range(count)]
    print("all have asked", flush=True)
    buffer = bytearray(PIECE)
    deadline = time.monotonic() + DEADLINE_SECONDS
    with selectors.DefaultSelector() as ready:
        for client in clients:
            ready.register(client.socket, selectors.EVENT_READ, client)
        while ready.get_map():
            if time.monotonic() > deadline:
                sys.exit(f"{path}: {len(ready.get_map())} of {count} clients had not got all of it after {DEADLINE_SECONDS} s")
            for key, _ in ready.select(1):
                if not key.data.receive(buffer):
                    ready.unregister(key.fileobj)
                    key.data.socket.close()
    if any(client.length != client.expected for client in clients):
        sys.exit(f"{path}: bodies of {sorted({client.length for client in clients})} bytes instead of {clients[0].expected}")
    print(json.dumps({
        "statuses": [client.status for client in clients], "lengths": [client.length for client in clients], "sha1": clients[0].hash.hexdigest(),
        "first": max(client.first for client in clients), "last": max(client.last for client in clients),
    }), flush=True)


main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
