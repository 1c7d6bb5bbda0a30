"""Spawned processes: a Pool and a Process with Queues, of functions in a module file.

A spawned child is a new interpreter that imports what it is to call. The cell
is no file, so its __main__ has neither a __file__ nor a __spec__: the child
can't run it again, and nothing of the cell is in the child's own __main__. So
  - a function of the cell can't be sent to it, the child says "Can't get
    attribute": put workers into a module in the working directory, which the
    child has on its path, too;
  - no `if __name__ == "__main__":` is needed in a cell. It does no harm: the
    cell's __name__ is "__main__". In a script it must be there, since there
    the child does run the file again.
"""

import importlib
import multiprocessing
import os
import subprocess
import sys

MODULE = """
import os

LOADED = os.getpid()


def cube(n):
    assert LOADED == os.getpid(), "the module was not loaded afresh"
    return n**3, os.getpid()


def serve(jobs, answers):
    for job in iter(jobs.get, None):
        answers.put((job, job.upper()))
    answers.put(None)


def names():
    import __main__

    return sorted(name for name in vars(__main__) if not name.startswith("_"))
"""


def main():
    with open("workers.py", "w", encoding="utf-8") as f:
        f.write(MODULE)
    importlib.invalidate_caches()
    import workers

    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        done = pool.map(workers.cube, range(20))
        assert [value for value, _ in done] == [n**3 for n in range(20)]
        assert os.getpid() not in {pid for _, pid in done}
        if not hasattr(sys.modules["__main__"], "__file__"):  # a cell
            assert "main" not in pool.apply(workers.names)

    jobs, answers = context.Queue(), context.Queue()
    worker = context.Process(target=workers.serve, args=(jobs, answers))
    worker.start()
    for word in ("alpha", "beta", "größe"):
        jobs.put(word)
    jobs.put(None)
    got = list(iter(lambda: answers.get(timeout=10), None))
    worker.join(10)
    assert got == [("alpha", "ALPHA"), ("beta", "BETA"), ("größe", "GRÖSSE")]
    assert worker.exitcode == 0
    assert multiprocessing.active_children() == []

    # What a script needs the condition for: it runs here a second time.
    with open("script.py", "w", encoding="utf-8") as f:
        f.write(
            "import multiprocessing as mp\n\n\ndef double(n):\n    return 2 * n\n\n\n"
            "print('running as', __name__, flush=True)\n"
            "if __name__ == '__main__':\n"
            "    with mp.get_context('spawn').Pool(1) as pool:\n"
            "        print(pool.map(double, [1, 2]))\n"
        )
    run = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, timeout=30)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == [
        "running as __main__",
        "running as __mp_main__",
        "[2, 4]",
    ]
    print("ok: multiprocessing_spawn")


if __name__ == "__main__":
    main()
