"""Whether a cell bound the variable `result`."""

import ast
import builtins

NAME = "result"
_MISSING = object()


def _stores(tree):
    """Whether the tree stores to the name in any scope, and never deletes it."""
    found = False
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == NAME:
            if isinstance(node.ctx, ast.Del):
                return False
            found = found or isinstance(node.ctx, ast.Store)
        elif isinstance(node, ast.alias):
            # `import result.sub` binds result, too.
            found = found or (node.asname or node.name).split(".")[0] == NAME
        # def, class, except … as, match patterns: a plain string.
        elif NAME in (getattr(node, "name", None), getattr(node, "rest", None)):
            found = True
    return found


class ResultWatch:
    """Tells whether a cell binds `result`, even to the object that it is bound
    to already: while the cell runs the old value is a builtin instead of a
    global, where reads still find it, and a new global shows the binding."""

    def __init__(self, namespace, tree):
        self._namespace = namespace
        self._old = namespace.get(NAME, _MISSING)
        self._moved = self._old is not _MISSING and _stores(tree)
        self._builtin = _MISSING
        self.bound = False
        self.value = None

    def __enter__(self):
        if self._moved:
            self._builtin = getattr(builtins, NAME, _MISSING)
            setattr(builtins, NAME, self._old)
            del self._namespace[NAME]
        return self

    def __exit__(self, *exc):
        new = self._namespace.get(NAME, _MISSING)
        if self._moved:
            self.bound = new is not _MISSING
            if not self.bound:
                self._namespace[NAME] = self._old
            if self._builtin is _MISSING:
                vars(builtins).pop(NAME, None)
            else:
                setattr(builtins, NAME, self._builtin)
        else:
            self.bound = new is not _MISSING and new is not self._old
        if self.bound:
            self.value = new
