"""Forked processes: a Pool, a Process with Queues, a Pipe, a Lock and a shared Value.

A forked child is a copy of the interpreter: it has what the cell defined, so
functions of the cell itself can be sent to it by name.
"""

import multiprocessing
import os

context = multiprocessing.get_context("fork")
table = {n: n**3 for n in range(50)}


def cube(n):
    return table[n], os.getpid()


def serve(jobs, answers):
    for job in iter(jobs.get, None):
        answers.put((job, job.upper()))
    answers.put(None)


def count(counter, lock, times):
    for _ in range(times):
        with lock:
            counter.value += 1


def fail(n):
    raise ValueError(f"no {n}")


with context.Pool(2) as pool:
    done = pool.map(cube, range(50), chunksize=5)
    assert [value for value, _ in done] == [n**3 for n in range(50)]
    assert os.getpid() not in {pid for _, pid in done}
    assert pool.apply_async(pow, (2, 10)).get(timeout=10) == 1024
    assert sorted(pool.imap_unordered(abs, [-3, 2, -1])) == [1, 2, 3]
    try:
        pool.apply(fail, (7,))
    except ValueError as problem:
        assert str(problem) == "no 7"
    else:
        raise AssertionError("the worker's exception was lost")

jobs, answers = context.Queue(), context.Queue()
worker = context.Process(target=serve, args=(jobs, answers))
worker.start()
for word in ("alpha", "beta", "größe"):
    jobs.put(word)
jobs.put(None)
got = list(iter(lambda: answers.get(timeout=10), None))
worker.join(10)
assert got == [("alpha", "ALPHA"), ("beta", "BETA"), ("größe", "GRÖSSE")]
assert worker.exitcode == 0

counter, lock = context.Value("i", 0, lock=False), context.Lock()
workers = [context.Process(target=count, args=(counter, lock, 2000)) for _ in range(4)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join(20)
assert [worker.exitcode for worker in workers] == [0] * 4
assert counter.value == 8000

here, there = context.Pipe()
child = context.Process(target=lambda: there.send({"pid": os.getpid(), "data": bytes(1 << 20)}))
child.start()
assert here.poll(10)
message = here.recv()
child.join(10)
assert message["pid"] == child.pid
assert len(message["data"]) == 1 << 20

pid = os.fork()
if pid == 0:
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
assert multiprocessing.active_children() == []

print("ok: multiprocessing_fork")
