"""Rich display: MIME bundles of objects, and the display() of the user's code."""

import base64
import os
import re
import sys

from .errors import describe
from .values import NotPlain, bounded_utf8, displayable, safe_repr

MAX_TEXT = 1 << 20
MAX_BUNDLE = 16 << 20
MAX_KEYS = 32
MAX_KEY = 128
METHODS = (
    ("text/html", "_repr_html_"),
    ("text/markdown", "_repr_markdown_"),
    ("image/svg+xml", "_repr_svg_"),
    ("image/png", "_repr_png_"),
    ("image/jpeg", "_repr_jpeg_"),
    ("text/latex", "_repr_latex_"),
    ("application/json", "_repr_json_"),
    ("application/javascript", "_repr_javascript_"),
    ("application/pdf", "_repr_pdf_"),
)
_KEY = re.compile(r"[A-Za-z0-9_.+-]+/[A-Za-z0-9_.+-]+")
PLAIN = (bool, int, float, complex, str, bytes, list, dict, tuple, set, frozenset, type(None))


def _method(obj, name):
    """The object's method, or None for classes and for objects that claim to
    have every attribute (mocks, lazy proxies)."""
    if isinstance(obj, type):
        return None
    try:
        if getattr(obj, "_tcid_no_such_method_", None) is not None:
            return None
        method = getattr(obj, name, None)
    except Exception:
        return None
    return method if callable(method) else None


def _call(method, **kwargs):
    try:
        return method(**kwargs)
    except NotImplementedError:
        return None
    except Exception as e:
        # The other representations still serve; say why this one is missing.
        sys.stderr.write("\n".join(describe(e)["traceback"]) + "\n")
        return None


def _split(answer):
    """Data and metadata of what a method returned."""
    if isinstance(answer, tuple) and len(answer) == 2:
        return answer
    return answer, None


def bundle(obj, text=None, include=None, exclude=None):
    """The MIME bundle and metadata of an object. User code runs."""
    if type(obj) in PLAIN:
        return {"text/plain": bounded_utf8(safe_repr(obj) if text is None else text, MAX_TEXT)}, {}
    data, metadata = {}, {}
    for mime, name in METHODS:
        method = _method(obj, name)
        if method is None:
            continue
        value, meta = _split(_call(method))
        if value is not None:
            data[mime] = value
            if meta:
                metadata[mime] = meta
    method = _method(obj, "_repr_mimebundle_")
    if method is not None:
        value, meta = _split(_call(method, include=include, exclude=exclude))
        if isinstance(value, dict):
            data.update(value)
            if isinstance(meta, dict):
                metadata.update(meta)
    if "text/plain" not in data:
        data["text/plain"] = safe_repr(obj) if text is None else text
    if include:
        data = {k: v for k, v in data.items() if k in include}
    if exclude:
        data = {k: v for k, v in data.items() if k not in exclude}
    return clean(data, metadata)


def clean(data, metadata=None):
    """A bundle that fits the protocol; what does not is dropped, with a note on
    stderr."""
    result, left = {}, MAX_BUNDLE
    for mime, value in data.items():
        if type(mime) is not str or len(mime) > MAX_KEY or not _KEY.fullmatch(mime):
            _note("the MIME type %r is not valid" % (mime,))
            continue
        if len(result) == MAX_KEYS:
            _note("more than %d MIME types in one display" % MAX_KEYS)
            break
        if isinstance(value, (bytes, bytearray, memoryview)):
            value = base64.b64encode(value).decode("ascii")
        if mime == "text/plain":
            value = bounded_utf8(value if isinstance(value, str) else str(value), MAX_TEXT)
        try:
            result[mime], left = displayable(value, left)
        except (NotPlain, RuntimeError) as e:
            result.pop(mime, None)
            _note("display data of type %s: %s" % (mime, e))
    try:
        extra, _ = displayable(dict(metadata or {}), MAX_TEXT)
    except (NotPlain, RuntimeError, TypeError, ValueError):
        extra = {}
    return result, extra


def _note(text):
    sys.stderr.write("display: dropped: %s\n" % text[:500])


class DisplayHandle:
    """What display() returns for a display that can be updated."""

    def __init__(self, displayer, display_id):
        self._displayer = displayer
        self.display_id = display_id

    def __repr__(self):
        return "<DisplayHandle display_id=%s>" % self.display_id

    def display(self, obj, **kwargs):
        self._displayer.display(obj, display_id=self.display_id, **kwargs)

    def update(self, obj, **kwargs):
        self._displayer.update(obj, display_id=self.display_id, **kwargs)


class Displayer:
    """Makes display() and update_display() for one kernel. emit sends an event;
    the server sets it."""

    def __init__(self):
        self.emit = None

    def display(
        self,
        *objs,
        include=None,
        exclude=None,
        metadata=None,
        transient=None,
        display_id=None,
        raw=False,
        clear=False,
        update=False,
        **kwargs,
    ):
        """Shows objects. raw: they are MIME bundles already. display_id: an id,
        or True for a new one; the returned handle updates what is shown."""
        if display_id is True:
            display_id = os.urandom(16).hex()
        for obj in objs:
            if not raw:
                method = _method(obj, "_ipython_display_")
                if method is not None:
                    method()
                    continue
                data, extra = bundle(obj, include=include, exclude=exclude)
            elif isinstance(obj, dict):
                data, extra = clean(obj)
            else:
                raise TypeError("data must be a dict, got: %.100r" % (obj,))
            if metadata:
                extra.update(clean({}, metadata)[1])
            self.send("update_display_data" if update else "display_data", data, extra, display_id)
        if display_id is not None and not update:
            return DisplayHandle(self, str(display_id))
        return None

    def update(self, obj, *, display_id, **kwargs):
        """Replaces what a display with this id shows."""
        kwargs["update"] = True
        self.display(obj, display_id=display_id, **kwargs)

    def clear(self, wait=False):
        """Says that what was shown so far is to go, or with wait that it is to go
        when more comes."""
        self.emit({"type": "clear_output", "wait": bool(wait)})

    def send(self, kind, data, metadata, display_id=None, hold=False):
        if not data:
            return
        message = {"type": kind, "data": data, "metadata": metadata}
        if display_id is not None:
            message["display_id"] = str(display_id)[:MAX_KEY]
        if not self.emit(message, hold=hold):
            _note("display data is too large")
