"""A client in one thread, for many requests at once."""

import re
import selectors
import socket
import sys
import time


class Reply:
    def __init__(self, answer, seconds):
        self.head, _, self.body = answer.partition(b"\r\n\r\n")
        self.status, self.seconds = int(self.head[9:12]), seconds

    def header(self, name):
        found = re.search(rf"^{name}: (.*?)\r?$", self.head.decode(), re.MULTILINE | re.IGNORECASE)
        return found[1] if found else None


class Client:
    """Uses a kept connection that is idle, or else a new one. The times are from sending a request to its complete reply."""

    def __init__(self, port):
        self.port, self.idle, self.in_flight = port, [], 0
        self.selector = selectors.DefaultSelector()

    def send(self, path):
        connection = self.idle.pop() if self.idle else self.connect()
        self.selector.modify(connection, selectors.EVENT_READ, [time.perf_counter(), b""])
        connection.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self.in_flight += 1

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(connection, selectors.EVENT_READ)
        return connection

    def receive(self, seconds):
        """The replies that are complete within that time; returns as soon as there is something to read."""
        for key, _ in self.selector.select(max(seconds, 0)):
            connection, request = key.fileobj, key.data
            part = connection.recv(65536)
            if not part:
                sys.exit("a connection was closed before the reply")
            request[1] += part
            head, end, body = request[1].partition(b"\r\n\r\n")
            if end and len(body) >= int(re.search(rb"Content-Length: (\d+)", head)[1]):
                self.in_flight -= 1
                self.idle.append(connection)
                yield Reply(request[1], time.perf_counter() - request[0])

    def receive_all(self):
        replies = []
        while self.in_flight:
            replies += self.receive(60)
        return replies

    def close(self):
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()
