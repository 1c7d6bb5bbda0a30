"""Streams, retries and what goes on without a listener, against a real daemon at
TCI_BASE_URL, a Unix socket. The end-to-end tests run this, as live.py."""

from __future__ import annotations

import os
import threading
import time
import unittest

import tci
from cutter import cutter
from tci import TCIClient

COUNT = "import time\nruns = globals().get('runs', 0) + 1\n"


class Streams(unittest.TestCase):
    def setUp(self) -> None:
        self.client = TCIClient()
        self.addCleanup(self.client.close)
        self.session = self.client.sessions.create()
        self.addCleanup(self.session.close)

    def test_events_of_all_kinds(self) -> None:
        code = "import sys\nprint('out', flush=True)\nprint('err', file=sys.stderr, flush=True)\n"
        code += "open('made.txt', 'w').close()\n41 + 1"
        with self.session.stream(code, [{"condition": "True"}]) as stream:
            self.assertRegex(stream.execution_id, "^exe_")
            seen = list(stream)
        kinds = ["started", "stdout", "stderr", "execute_result", "test", "finished"]
        self.assertEqual([e.type for e in seen], kinds)
        self.assertEqual([e.seq for e in seen], [1, 2, 3, 4, 5, 6])
        assert stream.execution is not None
        self.assertEqual((stream.execution.result, stream.execution.reward), (42, 1))
        self.assertEqual([(f.path, f.change) for f in stream.execution.files], [("made.txt", "created")])

    def test_output_comes_while_the_code_runs(self) -> None:
        with self.session.stream("import time\nprint('now', flush=True)\ntime.sleep(1)") as stream:
            times = {event.type: time.monotonic() for event in stream}
        self.assertGreater(times["finished"] - times["stdout"], 0.8)

    def test_an_execution_that_is_left_is_ended(self) -> None:
        with self.session.stream("import time\nprint('x', flush=True)\ntime.sleep(60)") as stream:
            next(event for event in stream if event.type == "stdout")
        # Asked for only: wait would listen, which keeps it alive.
        end = time.monotonic() + 20
        while not (execution := self.client.executions.get(stream.execution_id)).done:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.1)
        self.assertEqual(execution.status, "cancelled")

    def test_one_that_is_detached_goes_on(self) -> None:
        code = "import time\nprint('x', flush=True)\ntime.sleep(0.5)\nprint('y')"
        with self.session.stream(code, detach=True) as stream:
            next(event for event in stream if event.type == "stdout")
        self.assertEqual(self.client.executions.wait(stream.execution_id).stdout, "x\ny\n")

    def test_interrupting_a_stream(self) -> None:
        with self.session.stream("kept = 1\nprint('x', flush=True)\nwhile True: pass") as stream:
            for event in stream:
                if event.type == "stdout":
                    self.session.interrupt()
        assert stream.execution is not None
        self.assertEqual(stream.execution.status, "interrupted")
        self.assertEqual(self.session.run("kept").result, 1)

    def test_start_and_what_follows(self) -> None:
        first = self.session.start("import time\ntime.sleep(0.5)\n'one'")
        second = self.session.start("'two'")
        self.assertFalse(first.done or second.done)
        self.assertEqual(self.client.executions.wait(second.id).result, "two")
        self.assertEqual(self.client.executions.get(first.id).result, "one")
        self.assertEqual([e.id for e in self.session.executions()], [first.id, second.id])
        with self.client.executions.resume(first.id, after=1) as stream:
            self.assertEqual([e.seq for e in stream], [2, 3])
        running = self.session.start("while True: pass")
        self.assertEqual(self.client.executions.cancel(running.id).status, "cancelled")
        self.assertEqual(self.client.start("6 * 7").id[:4], "exe_")
        with self.assertRaises(tci.NotFoundError):
            self.client.executions.resume("exe_" + "1" * 21)

    def test_one_program_by_itself(self) -> None:
        self.assertEqual(tci.run("6 * 7").result, 42)
        with tci.stream("print('x')", resources={"memory_mb": 128}) as stream:
            self.assertEqual([e.type for e in stream], ["started", "stdout", "finished"])
        tci._once._default().close()

    def test_completion(self) -> None:
        self.session.run("a_long_name = 1")
        self.assertIn("a_long_name", self.session.complete("print(a_lo").matches)
        self.assertEqual(self.session.is_complete("for i in x:").status, "incomplete")
        self.assertEqual(self.session.is_complete("1").status, "complete")


class Breaks(unittest.TestCase):
    """Through connections that end early, code runs once and nothing is lost."""

    def setUp(self) -> None:
        self.url = os.environ["TCI_BASE_URL"]
        self.client = TCIClient()
        self.addCleanup(self.client.close)
        self.session = self.client.sessions.create()
        self.addCleanup(self.session.close)

    def test_streams(self) -> None:
        code = COUNT + "for i in range(60):\n    print(i, flush=True)\n    time.sleep(0.005)\nruns"
        for runs, cuts in enumerate(([1], [100], [600], [1500, 700, 1, 2000]), 1):
            with cutter(self.url, *cuts) as broken, TCIClient(base_url=broken.base_url) as client:
                with client.executions.stream(self.session.id, code) as stream:
                    seen = list(stream)
                self.assertEqual(broken.cuts, [])
            self.assertEqual([e.seq for e in seen], list(range(1, len(seen) + 1)))
            text = "".join(e.text for e in seen if isinstance(e, tci.StdoutEvent))
            self.assertEqual(text, "".join(f"{i}\n" for i in range(60)))
            assert stream.execution is not None
            self.assertEqual(stream.execution.result, runs)

    def test_runs_that_are_cut_while_they_run(self) -> None:
        with cutter(self.url) as broken, TCIClient(base_url=broken.base_url) as client:
            for runs in range(1, 4):
                timers = [threading.Timer(t, broken.cut_all) for t in (0.2, 0.5, 0.8)]
                for timer in timers:
                    timer.start()
                execution = client.executions.run(self.session.id, COUNT + "time.sleep(1.2)\nruns")
                self.assertEqual((execution.status, execution.result), ("ok", runs))
            self.assertGreater(broken.connections, 9)

    def test_starts_whose_answer_is_lost(self) -> None:
        with cutter(self.url, 1, 200, 1) as broken:
            with TCIClient(base_url=broken.base_url) as client:
                execution = client.executions.start(self.session.id, COUNT + "runs")
        self.assertEqual(self.client.executions.wait(execution.id).result, 1)
        self.assertEqual(len(self.session.executions()), 1)

    def test_a_key_of_the_callers(self) -> None:
        key = os.urandom(16).hex()
        first = self.session.run(COUNT + "runs", idempotency_key=key)
        again = self.session.run(COUNT + "runs", idempotency_key=key)
        self.assertEqual((first.id, first.result), (again.id, again.result))
        self.assertTrue(again.idempotent_replay)
        with self.assertRaises(tci.ConflictError) as caught:
            self.session.run("1", idempotency_key=key)
        self.assertEqual(caught.exception.code, "idempotency_key_reused")
        self.assertEqual(self.session.run("runs").result, 1)


if __name__ == "__main__":
    unittest.main()
