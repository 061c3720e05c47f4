#!/usr/bin/env python3
"""queues.py streams ADDRESS CONNECTIONS BYTES [IDLE_S]   echo, each byte checked, twice with a pause between
queues.py short ADDRESS CONNECTIONS                    connect, one byte there and back, close: one after the other
queues.py serve PORT                                   an echo server on the kernel's sockets, until killed
queues.py spread FILE N                                of `ss -j`: connections in every one of N queues"""
import asyncio
import json
import socket
import sys


def pattern(number, first, n):
    return bytes((number * 31 + i * 7 + i // 251) & 255 for i in range(first, first + n))


async def stream(address, number, n, barrier, idle_s):
    reader, writer = await asyncio.open_connection(address, 7)
    for turn in range(2 if idle_s else 1):
        data = pattern(number, turn * n, n)
        writer.write(data)
        got = await asyncio.wait_for(reader.readexactly(n), 30)
        if got != data:
            raise SystemExit("connection %d, turn %d: other bytes came back" % (number, turn))
        await barrier()
        if turn == 0 and idle_s:
            await asyncio.sleep(idle_s)
    writer.write_eof()
    if await asyncio.wait_for(reader.read(), 30) != b"":
        raise SystemExit("connection %d: bytes behind the last" % number)
    writer.close()


async def streams(address, count, n, idle_s):
    waiting, event = 0, asyncio.Event()

    async def barrier():
        nonlocal waiting, event
        waiting, mine = waiting + 1, event
        if waiting == count:
            waiting, event = 0, asyncio.Event()
            mine.set()
        await asyncio.wait_for(mine.wait(), 60)

    await asyncio.gather(*(stream(address, i, n, barrier, idle_s) for i in range(count)))


def short(address, count):
    for i in range(count):
        with socket.create_connection((address, 7), 10) as s:
            s.settimeout(10)
            s.sendall(bytes([i & 255]))
            if s.recv(10) != bytes([i & 255]):
                raise SystemExit("connection %d: another byte came back" % i)


async def echo(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except ConnectionResetError:
        pass
    writer.close()


async def serve(port):
    server = await asyncio.start_server(echo, "0.0.0.0", port)
    await server.serve_forever()


def spread(path, n):
    with open(path, encoding="utf-8") as f:
        rows = json.load(f)["sockets"]
    seen = {r["queue"] for r in rows if r["state"] == "ESTAB"}
    if seen != set(range(n)):
        raise SystemExit("connections in queues %s, not in all %d" % (sorted(seen), n))


def main(argv):
    if argv[1] == "streams":
        asyncio.run(streams(argv[2], int(argv[3]), int(argv[4]), float(argv[5]) if len(argv) > 5 else 0))
    elif argv[1] == "short":
        short(argv[2], int(argv[3]))
    elif argv[1] == "serve":
        asyncio.run(serve(int(argv[2])))
    elif argv[1] == "spread":
        spread(argv[2], int(argv[3]))
    else:
        raise SystemExit(__doc__)


main(sys.argv)
