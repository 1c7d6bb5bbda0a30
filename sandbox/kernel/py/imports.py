"""Acts on modules of the user's right after their import."""

import importlib.abc
import importlib.util
import sys


class _Loader(importlib.abc.Loader):
    """A loader that lets somebody act on the module before its importer does."""

    def __init__(self, loader, action):
        self._loader, self._action = loader, action

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._action(module)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, actions):
        self._actions = actions
        self._looking = set()

    def find_spec(self, fullname, path=None, target=None):
        action = self._actions.get(fullname)
        if action is None or fullname in self._looking:
            return None
        self._looking.add(fullname)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._looking.discard(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, action)
        return spec


def after_import(actions):
    """Calls actions[name](module) for each module of that name, once imported."""
    sys.meta_path.insert(0, _Finder(actions))
