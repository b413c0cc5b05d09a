"""A connection pool between the application and Postgres that leaves its mark on each session, as pgbouncer can.

`python -m tests.faults.trace.pool PORT SQL once|each` forwards to Postgres at PORT and prints its own port. It runs SQL
on each session: once at its start, or after each transaction. The client sees nothing of it, not even a setting's new
value.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys

SSL, GSS = 80877103, 80877104
HEAD = 5
"""Bytes of a message's type and length."""


class Pool:
    """A pool in front of the Postgres at `server`, in a process of its own; see above."""

    def __init__(self, server: int, sql: str, *, after_each: bool = False) -> None:
        words = [sys.executable, "-m", __name__, str(server), sql, "each" if after_each else "once"]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def close(self) -> None:
        """End it with all its connections."""
        self.process.kill()
        self.process.communicate()


async def serve(server: int, sql: bytes, *, after_each: bool) -> None:
    """Serve clients until the process ends."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            packet = await startup(reader, writer)
            answers, out = await asyncio.open_connection("127.0.0.1", server)
            out.write(packet)
            sending = asyncio.ensure_future(forward(reader, out))
            try:
                await answer(answers, out, writer, sql, after_each=after_each)
            finally:
                sending.cancel()
                out.close()
        writer.close()

    listener = await asyncio.start_server(client, "127.0.0.1", 0)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await listener.serve_forever()


async def answer(
    answers: asyncio.StreamReader,
    server: asyncio.StreamWriter,
    client: asyncio.StreamWriter,
    sql: bytes,
    *,
    after_each: bool,
) -> None:
    """Forward what the server sends; where it is ready for a transaction, run the statement first."""
    begun = False
    while True:
        message = await one_message(answers)
        if message[:1] == b"Z":
            if message[HEAD:] == b"I" and begun is after_each:
                server.write(b"Q" + (len(sql) + HEAD).to_bytes(4, "big") + sql + b"\0")
                while (await one_message(answers))[:1] != b"Z":
                    pass
            begun = True
        client.write(message)
        await client.drain()


async def startup(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The first packet. Encryption is refused."""
    while True:
        length = await reader.readexactly(4)
        body = await reader.readexactly(int.from_bytes(length, "big") - 4)
        if int.from_bytes(body[:4], "big") not in (SSL, GSS):
            return length + body
        writer.write(b"N")


async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Bytes to the server until the client ends."""
    with contextlib.suppress(OSError):
        while part := await reader.read(65536):
            writer.write(part)
            await writer.drain()
    writer.close()


async def one_message(reader: asyncio.StreamReader) -> bytes:
    """A message of the server."""
    head = await reader.readexactly(HEAD)
    return head + await reader.readexactly(int.from_bytes(head[1:], "big") - 4)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2].encode(), after_each=sys.argv[3] == "each"))
