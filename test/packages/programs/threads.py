"""Threads: an executor, a Lock, a Condition, a Queue, a Barrier, locals and a Timer."""

import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

lock, total = threading.Lock(), 0


def add(times):
    global total
    for _ in range(times):
        with lock:
            total += 1
    return threading.current_thread().name


with ThreadPoolExecutor(8, thread_name_prefix="adder") as executor:
    names = {future.result() for future in as_completed([executor.submit(add, 1000) for _ in range(16)])}
    assert total == 16_000
    assert all(name.startswith("adder") for name in names)
    assert list(executor.map(str.upper, "abc")) == ["A", "B", "C"]
    assert isinstance(executor.submit(lambda: 1 / 0).exception(), ZeroDivisionError)

# They wait at the same time: 8 naps of 0.3 s take far less than 2.4 s.
start = time.monotonic()
with ThreadPoolExecutor(8) as executor:
    list(executor.map(time.sleep, [0.3] * 8))
assert 0.3 <= time.monotonic() - start < 2.2

jobs, squares = queue.Queue(maxsize=4), []


def consume():
    while (job := jobs.get()) is not None:
        squares.append(job * job)
        jobs.task_done()


consumer = threading.Thread(target=consume)
consumer.start()
for n in range(50):
    jobs.put(n)
jobs.join()
jobs.put(None)
consumer.join(5)
assert squares == [n * n for n in range(50)]
assert not consumer.is_alive()

condition, ready, seen = threading.Condition(), False, []


def wait_for_it():
    with condition:
        seen.append(condition.wait_for(lambda: ready, timeout=5))


waiters = [threading.Thread(target=wait_for_it) for _ in range(3)]
for waiter in waiters:
    waiter.start()
with condition:
    ready = True
    condition.notify_all()
for waiter in waiters:
    waiter.join(5)
assert seen == [True] * 3

barrier, local, kept = threading.Barrier(4), threading.local(), []


def meet(n):
    local.number = n
    barrier.wait(5)
    kept.append(local.number == n)


group = [threading.Thread(target=meet, args=(n,)) for n in range(4)]
for member in group:
    member.start()
for member in group:
    member.join(5)
assert kept == [True] * 4

fired = threading.Event()
threading.Timer(0.05, fired.set).start()
assert fired.wait(5)

# As many threads as many programs want; the session allows more.
go = threading.Event()
many = [threading.Thread(target=go.wait, args=(20,)) for _ in range(64)]
for thread in many:
    thread.start()
assert sum(thread.is_alive() for thread in many) == 64
go.set()
for thread in many:
    thread.join(5)
assert not any(thread.is_alive() for thread in many)

print("ok: threads")
