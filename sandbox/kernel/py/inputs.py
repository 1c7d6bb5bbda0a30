"""What a request sets for its own duration: stdin, environment, directory."""

import base64
import io
import os
import sys


class InvalidRequest(Exception):
    """The request cannot be set up; args are the error's name and text."""


def reader():
    raw = io.FileIO(0, "rb", closefd=False)
    return io.TextIOWrapper(io.BufferedReader(raw), encoding="utf-8", errors="surrogateescape")


def memory_file(data):
    """A descriptor, at its start, of an anonymous file with these bytes."""
    try:
        fd = os.memfd_create("stdin", os.MFD_CLOEXEC)
    except OSError:  # a seccomp filter, or an old kernel
        import tempfile  # slow to import, and hardly ever used

        with tempfile.TemporaryFile() as f:
            fd = os.dup(f.fileno())
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.lseek(fd, 0, os.SEEK_SET)
    except OSError:
        os.close(fd)
        raise
    return fd


class Inputs:
    def __init__(self):
        self._empty = reader()
        self._undo = []

    def open(self):
        """Takes the directory for the one to start in, and descriptor 0, which is
        the null device, for the standard input."""
        self.start = os.getcwd()
        self._null = os.dup(0)
        sys.stdin = sys.__stdin__ = self._empty

    def close(self):
        os.close(self._null)

    def apply(self, request):
        """Sets up a request; restore takes all of it back, also after an error
        in the middle."""
        if self._empty.closed:  # exit() closes sys.stdin
            if sys.stdin is self._empty:
                sys.stdin = None
            self._empty = reader()
            sys.stdin = sys.stdin or self._empty
        try:
            self._apply_env(request.get("env") or {})
            if request.get("cwd"):
                self._apply_cwd(request["cwd"])
            if request.get("stdin") is not None:
                self._apply_stdin(base64.b64decode(request["stdin"]))
        except OSError as e:
            raise InvalidRequest("OSError", "cannot set up the execution: %s" % e) from None

    def _apply_env(self, env):
        for name, value in env.items():
            old = os.environ.get(name)
            try:
                os.environ[name] = value
            except (ValueError, OSError) as e:
                raise InvalidRequest("ValueError", "environment variable %r: %s" % (name, e)) from None
            self._undo.append((self._restore_env, name, old))

    def _restore_env(self, name, old):
        if old is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = old

    def _apply_cwd(self, cwd):
        try:
            old = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            old = None  # the directory was removed or made unreadable
        self._undo.append((self._restore_cwd, old))
        try:
            os.chdir(os.path.join(self.start, cwd))
        except (OSError, ValueError) as e:
            raise InvalidRequest(
                type(e).__name__,
                "working directory %r: %s; make it first, or name another"
                % (cwd, getattr(e, "strerror", None) or e),
            ) from None

    def _restore_cwd(self, old):
        if old is None:
            os.chdir(self.start)
            return
        try:
            os.fchdir(old)
        finally:
            os.close(old)

    def _apply_stdin(self, data):
        fd = memory_file(data)
        try:
            os.dup2(fd, 0)
        finally:
            os.close(fd)
        self._undo.append((self._restore_stdin, sys.stdin))
        sys.stdin = reader()

    def _restore_stdin(self, old):
        os.dup2(self._null, 0)
        sys.stdin = old

    def restore(self):
        while self._undo:
            undo = self._undo.pop()
            try:
                undo[0](*undo[1:])
            except OSError:
                pass  # the user's code closed it or removed the directory
