#!/usr/bin/env python3
"""Clients that never get on: they open connections, send a byte of a request now and then, and come back when they are thrown out.

    slow.py PORT CLIENTS        runs until its standard input ends; prints how many are connected once all are
"""

import asyncio
import sys

HEAD = b"POST /api/product-orgs/webhook/sk_nobody HTTP/1.1\r\nHost: bench\r\nX-Slow: " + b"a" * 10_000
HELD = [0]


async def hold(port):
    """One connection at a time, for ever: a byte a second."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            HELD[0] += 1
            try:
                for byte in HEAD:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    try:
                        # Whatever comes, an answer or the end: this one is over.
                        await asyncio.wait_for(reader.read(1), 1.0)
                        break
                    except asyncio.TimeoutError:
                        continue
            finally:
                HELD[0] -= 1
                writer.close()
        except OSError:
            await asyncio.sleep(0.2)


async def main():
    port, clients = int(sys.argv[1]), int(sys.argv[2])
    tasks = [asyncio.create_task(hold(port)) for _ in range(clients)]
    while HELD[0] < clients * 0.95:
        await asyncio.sleep(0.1)
    print(HELD[0], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(HELD[0], flush=True)
    for task in tasks:
        task.cancel()


asyncio.run(main())
