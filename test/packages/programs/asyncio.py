"""Coroutines: gather, timeouts, queues, a subprocess, a thread, a TCP server on loopback."""

import asyncio
import sys
import time


async def nap(n):
    await asyncio.sleep(0.2)
    return n * n


async def gather():
    start = time.monotonic()
    assert await asyncio.gather(*(nap(n) for n in range(50))) == [n * n for n in range(50)]
    assert time.monotonic() - start < 5  # one after the other: 10 s
    try:
        await asyncio.wait_for(asyncio.sleep(30), 0.05)
    except asyncio.TimeoutError:
        pass
    else:
        raise AssertionError("no timeout")
    task = asyncio.create_task(asyncio.sleep(30))
    await asyncio.sleep(0)
    task.cancel()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(outcome, asyncio.CancelledError)


async def pipeline():
    numbers, found = asyncio.Queue(2), []

    async def produce():
        for n in range(10):
            await numbers.put(n)
        await numbers.put(None)

    async def consume():
        while (n := await numbers.get()) is not None:
            found.append(n)

    await asyncio.gather(produce(), consume())
    assert found == list(range(10))
    assert await asyncio.get_running_loop().run_in_executor(None, sum, found) == 45


async def subprocesses():
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import sys; print(sys.stdin.read()[::-1]); sys.exit(3)",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(child.communicate(b"drawer"), 20)
    assert (out, child.returncode) == (b"reward\n", 3)
    shell = await asyncio.create_subprocess_shell("echo $((6 * 7))", stdout=asyncio.subprocess.PIPE)
    assert (await shell.communicate())[0] == b"42\n"
    sleeper = await asyncio.create_subprocess_exec("sleep", "30")
    sleeper.terminate()
    assert await asyncio.wait_for(sleeper.wait(), 5) == -15


async def echo(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()


async def call(port, words):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = []
    for word in words:
        writer.write(word.encode() + b"\n")
        answers.append((await reader.readline()).decode().strip())
    writer.close()
    await writer.wait_closed()
    return answers


async def server():
    listener = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        answers = await asyncio.gather(*(call(port, ["one", "two", f"client {n}"]) for n in range(10)))
    assert answers == [["ONE", "TWO", f"CLIENT {n}"] for n in range(10)]


async def main():
    await gather()
    await pipeline()
    await subprocesses()
    await server()
    return "all done"


assert asyncio.run(main()) == "all done"

print("ok: asyncio")
