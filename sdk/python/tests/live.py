"""The SDK against a real daemon, at TCI_BASE_URL. The end-to-end tests run
this; it is not collected by itself, since it needs that daemon."""

from __future__ import annotations

import io
import threading
import unittest

import tci
from tci import TCIClient


class Seed(unittest.TestCase):
    """The calls that programs were first written for."""

    def setUp(self) -> None:
        self.client = TCIClient(api_key="your_api_key")
        self.session = self.client.sessions.create(language="python")

    def tearDown(self) -> None:
        self.assertIs(self.client.sessions.close(self.session.id), True)
        self.client.close()

    def test_create(self) -> None:
        self.assertRegex(self.session.id, r"^ses_[1-9A-HJ-NP-Za-km-z]{21}$")
        self.assertEqual(self.session.language, "python")

    def test_run_with_tests(self) -> None:
        tests = [
            {"name": "is four", "condition": "result == 4", "reward": 0.5},
            {"name": "is five", "condition": "result == 5", "reward": 0.5},
        ]
        execution = self.client.executions.run(self.session.id, "result = 2 + 2\nprint(result)", tests)
        self.assertEqual((execution.stdout, execution.result), ("4\n", 4))
        self.assertEqual(
            [(t.name, t.passed, t.reward) for t in execution.tests],
            [("is four", True, 0.5), ("is five", False, 0.0)],
        )
        self.assertEqual(execution.reward, 0.5)

    def test_files(self) -> None:
        done = self.client.files.upload(
            session_id=self.session.id, remote_path="data.csv", content=b"a,b\n1,2"
        )
        self.assertIs(done, True)
        file = self.client.files.download(session_id=self.session.id, remote_path="data.csv")
        self.assertEqual((file.name, file.content), ("data.csv", b"a,b\n1,2"))

    def test_close_twice(self) -> None:
        self.assertIs(self.client.sessions.close(self.session.id), True)
        self.assertIs(self.client.sessions.close(self.session.id), True)
        self.assertIs(self.client.sessions.close("ses_never"), True)

    def test_unknown(self) -> None:
        with self.assertRaises(ValueError) as raised:
            self.client.executions.run("ses_never", "1")
        self.assertIsInstance(raised.exception, tci.SessionNotFound)
        with self.assertRaises(FileNotFoundError):
            self.client.files.download(self.session.id, "nothing")
        with self.assertRaises(ValueError):
            self.client.files.download("ses_never", "nothing")


class Sessions(unittest.TestCase):
    def setUp(self) -> None:
        self.client = TCIClient()

    def tearDown(self) -> None:
        self.client.close()

    def test_context_manager(self) -> None:
        with self.client.sessions.create(
            metadata={"job": "x"}, env={"A": "b"}, resources={"memory_mb": 256}, files={"in.txt": "hi"}
        ) as session:
            e = session.run("import os; os.environ['A'] + open('in.txt').read()")
            self.assertEqual(e.result, "bhi")
            self.assertEqual([s.id for s in self.client.sessions.list(metadata={"job": "x"})], [session.id])
            self.assertEqual(
                self.client.sessions.update(session.id, metadata={"job": "y"}).metadata, {"job": "y"}
            )
            self.assertEqual(session.refresh().metadata, {"job": "y"})
            self.assertEqual(session.resources["memory_mb"], 256)
        with self.assertRaises(tci.SessionNotFound):
            session.refresh()

    def test_close_all(self) -> None:
        for _ in range(3):
            self.client.sessions.create(metadata={"job": "many"})
        self.assertEqual(self.client.sessions.close_all({"job": "many"}), 3)

    def test_results(self) -> None:
        with self.client.sessions.create() as s:
            for code, want in [
                ("1 + 1", 2),
                ("result = [1, {'a': None}]", [1, {"a": None}]),
                ("result = (1, 2)", "(1, 2)"),
                ("{1}", "{1}"),
                ("'text'", "text"),
                ("None", None),
                ("x = 1", None),
                ("float('nan')", "nan"),
                ("2 ** 70", str(2**70)),
            ]:
                self.assertEqual(s.run(code).result, want, code)

    def test_failures_are_no_exceptions(self) -> None:
        with self.client.sessions.create() as s:
            e = s.run("print('before')\n1/0")
            self.assertFalse(e.ok)
            self.assertEqual((e.status, e.error.name), ("error", "ZeroDivisionError"))
            self.assertIn("before\n", e.text)
            self.assertIn("ZeroDivisionError", e.text)
            with self.assertRaises(tci.ExecutionError):
                e.raise_for_error()
            e = s.run("while True: pass", timeout=0.5)
            self.assertEqual(e.status, "timeout")
            e = s.run("import os; os._exit(3)")
            self.assertEqual((e.status, e.state_lost), ("crashed", True))
            self.assertEqual(s.run("40 + 2").raise_for_error().result, 42)
            self.assertEqual(s.refresh().execute_count, 4)

    def test_stdin_and_files(self) -> None:
        with self.client.sessions.create() as s:
            self.assertEqual(s.run("input() + input()", stdin="a\nb\n").result, "ab")
            self.assertEqual(s.run("import sys; len(sys.stdin.buffer.read())", stdin=b"12345").result, 5)
            s.files.upload("dir/ü 1.bin", io.BytesIO(bytes(3_000_000)), mode=0o600)
            self.assertEqual(len(s.files.download("/workspace/dir/ü 1.bin").content), 3_000_000)
            self.assertEqual([f.path for f in s.files.list(recursive=True)], ["dir", "dir/ü 1.bin"])
            s.files.delete("dir", recursive=True)
            self.assertEqual(s.files.list(), [])
            with self.assertRaises(tci.InvalidRequestError) as raised:
                s.files.upload("../x", b"")
            self.assertEqual(raised.exception.code, "invalid_path")

    def test_one_shot(self) -> None:
        e = self.client.run("print(open('a').read()); 7", files={"a": b"A"}, resources={"memory_mb": 128})
        self.assertEqual((e.stdout, e.result), ("A\n", 7))

    def test_interrupt_from_another_thread(self) -> None:
        with self.client.sessions.create() as s:
            timer = threading.Timer(0.5, s.interrupt)
            timer.start()
            e = s.run("kept = 1\nimport time\ntime.sleep(30)")
            timer.join()
            self.assertEqual(e.status, "interrupted")
            self.assertEqual(s.run("kept").result, 1)
            s.restart()
            self.assertEqual(s.run("'kept' in globals()").result, False)

    def test_bad_requests(self) -> None:
        with self.assertRaises(tci.InvalidRequestError) as raised:
            self.client.sessions.create(language="ruby")
        self.assertEqual(
            (raised.exception.code, raised.exception.param), ("unsupported_language", "language")
        )
        self.assertTrue(raised.exception.request_id)

    def test_threads_share_a_client(self) -> None:
        with self.client.sessions.create() as s:
            results = []
            threads = [
                threading.Thread(target=lambda i=i: results.append(s.run(f"{i} * 2").result))
                for i in range(20)
            ]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual(sorted(results), [i * 2 for i in range(20)])

    def test_version(self) -> None:
        version = self.client.version()
        self.assertIn("v1", version["api"])
        self.assertTrue(version["isolation"]["seccomp"])
        self.assertEqual([i["name"] for i in self.client.images() if i["default"]], ["default"])


if __name__ == "__main__":
    unittest.main()
