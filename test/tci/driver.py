"""Plays the cases through all clients and prints a matrix; see run."""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import pathlib
import secrets
import signal
import sys
import threading
import time
from typing import Any

import clients
from patterns import Mismatch
from player import RAW, Player
from runner import Runner
from server import Daemon

CASES = pathlib.Path(__file__).resolve().parents[1] / "conformance" / "tci.json"
#: cases that one client plays at a time
WORKERS = 4
#: what a client can be asked for; "wrong" and "none" are no keys of the daemon
PRINCIPALS = ("own", "other", "unused")


class Bench:
    """The daemons and the runners; those with other options start when a case
    needs them."""

    def __init__(self, data_dir: str, commands: dict[str, list[str]]) -> None:
        self.data_dir = data_dir
        self.commands = commands
        self.keys = {f"{c}-{p}": "tci_" + secrets.token_hex(16) for c in commands for p in PRINCIPALS}
        self.lock = threading.Lock()
        self.stopped = False
        self.daemons: dict[str, Daemon] = {}
        self.runners: dict[tuple[str, str], Runner] = {}
        #: client -> bodies of errors seen, and what was wrong with them
        self.errors: dict[str, tuple[int, list[str]]] = {client: (0, []) for client in commands}

    def daemon(self, options: dict[str, Any]) -> Daemon:
        name = json.dumps(options, sort_keys=True)
        if name not in self.daemons:
            self.daemons[name] = Daemon(self.data_dir, self.keys, options)
            self.daemons[name].wait()
        return self.daemons[name]

    def runner(self, client: str, options: dict[str, Any]) -> Runner:
        with self.lock:
            if self.stopped:
                raise RuntimeError("stopped")
            place = client, json.dumps(options, sort_keys=True)
            if place not in self.runners:
                url = self.daemon(options).url
                self.runners[place] = Runner(self.commands[client], url, self.key(client, "own"))
            return self.runners[place]

    def key(self, client: str, name: str) -> str:
        if name == "none":
            return ""
        return "tci_wrong" if name == "wrong" else self.keys[f"{client}-{name}"]

    def resident_mib(self, options: dict[str, Any]) -> float:
        with self.lock:
            return self.daemon(options).resident_mib()

    def saw_error(self, client: str, case: str, problem: str | None) -> None:
        with self.lock:
            count, problems = self.errors[client]
            if problem is not None:
                problems.append(f"{case}: {problem}")
            self.errors[client] = count + 1, problems

    def stop(self) -> list[str]:
        """Ends all processes; says what went wrong."""
        with self.lock:
            self.stopped = True
        for runner in self.runners.values():
            runner.stop()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            return [said for said in pool.map(Daemon.stop, self.daemons.values()) if said is not None]


def chosen(cases: list[dict[str, Any]], args: argparse.Namespace) -> list[dict[str, Any]]:
    """The cases that the arguments ask for."""
    return [
        case
        for case in cases
        if not (args.quick and case.get("slow"))
        and not (args.plain and case.get("needs"))
        and (
            not args.words or any(word in case["name"] or word == str(case["number"]) for word in args.words)
        )
    ]


def expressible(case: dict[str, Any], client: str) -> bool:
    if "raw_only" in case:
        return client == RAW
    return client in case.get("clients", [client])


def play_all(bench: Bench, cases: list[dict[str, Any]], players: list[str]) -> dict[tuple[str, str], str]:
    """Plays the cases in all clients at once; (client, name) -> what is wrong, or ""."""
    results: dict[tuple[str, str], str] = {}

    def play(client: str, case: dict[str, Any]) -> None:
        try:
            Player(bench, client, case).play()
        except Exception as problem:
            # A broken case must not hide the ones after it.
            text = str(problem) if isinstance(problem, Mismatch) else repr(problem)
            results[client, case["name"]] = text or "failed"
        else:
            results[client, case["name"]] = ""

    pools = []
    for client in players:
        mine = [case for case in cases if expressible(case, client)]
        # Slow ones have threads of their own.
        slow = [case for case in mine if case.get("slow")]
        for part, workers in ((slow, len(slow)), ([c for c in mine if c not in slow], WORKERS)):
            if part:
                pool = concurrent.futures.ThreadPoolExecutor(workers)
                pools.append(pool)
                for case in part:
                    pool.submit(play, client, case)
    try:
        for pool in pools:
            pool.shutdown()
    except BaseException:
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        raise
    for case in cases:
        if case.get("property") == "error_bodies":
            for client in players:
                judge_errors(bench.errors[client], results, (client, case["name"]))
    return results


def judge_errors(
    seen: tuple[int, list[str]], results: dict[tuple[str, str], str], place: tuple[str, str]
) -> None:
    """Adds to a result what is wrong with the bodies of errors of all cases."""
    count, problems = seen
    head = f"{len(problems)} of {count} bodies are wrong" if count else "no body of an error was seen"
    if place in results and (problems or not count):
        more = [head, *sorted(set(problems))]
        results[place] = "\n".join(filter(None, [results[place], *more]))


def print_matrix(
    cases: list[dict[str, Any]], heads: dict[str, str], results: dict[tuple[str, str], str]
) -> None:
    width = max(len(case["name"]) for case in cases) + 5
    print(" " * width + "".join(f"{head:>19}" for head in heads.values()))
    for case in cases:
        cells = []
        for client in heads:
            said = results.get((client, case["name"]))
            cells.append("-" if said is None else "FAIL" if said else "ok")
        print(f"{case['number']:>3}  {case['name']}".ljust(width) + "".join(f"{cell:>19}" for cell in cells))


def run(args: argparse.Namespace) -> int:
    file = json.loads(CASES.read_text("utf-8"))
    if file["version"] != 1:
        print(f"tci: {CASES} has version {file['version']}; this driver knows 1", file=sys.stderr)
        return 2
    cases = chosen(file["cases"], args)
    if not cases:
        print("tci: no case is chosen", file=sys.stderr)
        return 2
    bench = Bench(args.data_dir, clients.install())
    try:
        runners = {name: bench.runner(name, {}) for name in bench.commands}
        start = time.monotonic()
        results = play_all(bench, cases, [name for name, runner in runners.items() if runner.lacks is None])
    finally:
        trouble = bench.stop()
    heads = {name: runner.client for name, runner in runners.items()}
    print_matrix(cases, heads, results)
    print(f"- can't be said with that client; {time.monotonic() - start:.0f} s")
    for runner in runners.values():
        if runner.lacks is not None:
            print(f"{runner.client}: {runner.lacks}")
    failures = [(place, said) for place, said in results.items() if said]
    for (client, name), said in sorted(failures):
        print(f"\nFAIL {heads[client]}, {name}:\n  " + said.replace("\n", "\n  "))
    for said in trouble:
        print(f"\nFAIL {said}")
    failed = len(failures) + len(trouble)
    print(f"{len(results) - len(failures)} passed, {failed} failed")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="test/tci/run")
    parser.add_argument("--quick", action="store_true", help="leave out the case that takes 75 s")
    parser.add_argument("--plain", action="store_true", help="leave out the cases that need packages")
    parser.add_argument("--data-dir", default=os.environ.get("TCID_DATA_DIR", "/var/lib/tcid"))
    parser.add_argument("words", nargs="*", metavar="WORD", help="part of a case's name, or its number")
    args = parser.parse_args()
    if os.geteuid() != 0:
        print("tci: run this as root; the daemon makes namespaces, mounts and cgroups", file=sys.stderr)
        return 2
    # The daemons must end with this program.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return run(args)
    except RuntimeError as problem:
        print(f"tci: {problem}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
