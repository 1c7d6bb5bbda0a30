"""How an execution looks in a notebook.

What sandboxed code displays is hostile by assumption, and a notebook would give
HTML the rights of the page: to run cells as its user, to read other outputs, to
load addresses. So everything is escaped, and HTML is put into a frame that runs
no script (``sandbox=""``, which also gives it an origin of its own, without
cookies, forms, popups and automatic redirects), whose policy loads nothing from
anywhere (an image's address can carry what the sandbox without a network could
not send), and that a click can't turn into another page of the notebook. Tables
and styles show; interactive charts don't, but for a picture that they bring
along. Who trusts the code can show such a thing himself:
``IPython.display.HTML(execution.outputs[0]["data"]["text/html"])``.

SVG is shown as an image, in which browsers run no script and load nothing.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from typing import TYPE_CHECKING, Any, Mapping, Optional

if TYPE_CHECKING:
    from .models import Execution

#: The first of these that an output has is shown.
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:"
_FRAME_HEAD = (
    '<!DOCTYPE html><meta charset="utf-8">'
    f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    '<meta http-equiv="x-dns-prefetch-control" content="off">'
    '<meta name="referrer" content="no-referrer">'
    "<style>body{margin:4px;font:13px sans-serif}table{border-collapse:collapse}"
    "td,th{padding:2px 8px;text-align:right}</style>"
)
#: Pixels of a frame's height: a line of its content, and the bounds.
_LINE_HEIGHT, _LEAST_HEIGHT, _MOST_HEIGHT = 24, 60, 480

_PRE = "margin:0;white-space:pre-wrap;overflow-wrap:anywhere"
_STDERR = f"{_PRE};background:rgba(220,60,60,.12)"

#: Characters of one text, and of one HTML output, that a notebook gets to hold.
_TEXT_LIMIT, _HTML_LIMIT = 50_000, 1 << 20

# Colours and other control sequences of terminals, then control characters.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]+[0-~]|[@-Z\\^_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def html_of(execution: Execution) -> str:
    """The execution as HTML that is safe in a notebook."""
    parts = [_output(output) for output in execution.outputs]
    if execution.error is not None and not any(o["type"] == "error" for o in execution.outputs):
        parts.append(_pre(str(execution.error), _STDERR))
    if execution.result_repr is not None and not any(
        o["type"] == "execute_result" for o in execution.outputs
    ):
        parts.append(_pre(execution.result_repr))
    if not execution.ok:
        parts.append(f"<div><b>{html.escape(execution.status)}</b></div>")
    if execution.tests:
        parts.append(_tests(execution))
    if not any(parts):
        parts.append(_pre(f"{execution.status}, without output"))
    return '<div class="tci-execution">' + "".join(parts) + "</div>"


def png_of(execution: Execution) -> Optional[bytes]:
    """The first PNG that was shown; None: there is none."""
    for output in execution.outputs:
        data = output["data"]
        image = _base64(data.get("image/png")) if isinstance(data, Mapping) else None
        if image is not None:
            return base64.b64decode(image)
    return None


def plain(text: str) -> str:
    """Text as a terminal would leave it: no control sequences, no control
    characters, of a line that is written over what came last."""
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in _ANSI.sub("", text).split("\n"))
    return _CONTROL.sub("", "\n".join(lines))


def _output(output: Mapping[str, Any]) -> str:
    data = output["data"]
    if isinstance(data, str):
        return _pre(data, _PRE if output["type"] == "stdout" else _STDERR) if data else ""
    if not isinstance(data, Mapping):
        return ""
    for kind in _IMAGES:
        image = _base64(data.get(kind))
        if image is not None:
            return f'<div><img src="data:{kind};base64,{image}" style="max-width:100%"></div>'
    svg, markup, text = data.get("image/svg+xml"), data.get("text/html"), data.get("text/plain")
    if isinstance(svg, str):
        encoded = base64.b64encode(svg.encode("utf-8", "replace")).decode("ascii")
        return f'<div><img src="data:image/svg+xml;base64,{encoded}" style="max-width:100%"></div>'
    if isinstance(markup, str) and (len(markup) <= _HTML_LIMIT or not isinstance(text, str)):
        return _frame(markup[:_HTML_LIMIT])
    if isinstance(text, str):
        return _pre(text)
    return _pre(f"[{', '.join(sorted(map(str, data)))}]")


def _frame(markup: str) -> str:
    lines = max(markup.count("<tr"), markup.count("<br"), markup.count("<p"), markup.count("<li"))
    height = min(max(_LEAST_HEIGHT, (lines + 2) * _LINE_HEIGHT), _MOST_HEIGHT)
    document = html.escape(_FRAME_HEAD + markup, quote=True)
    return (
        f'<iframe sandbox="" referrerpolicy="no-referrer" srcdoc="{document}" '
        f'style="width:100%;height:{height}px;border:0;resize:vertical;background:#fff"></iframe>'
    )


def _tests(execution: Execution) -> str:
    rows = "".join(
        f"<tr><td>{'✓' if t.passed else '✗'}</td><td>{_text(t.name)}</td><td>{_text(t.status)}</td>"
        f"<td>{t.reward:g}</td><td>{_text(t.message)}</td></tr>"
        for t in execution.tests
    )
    reward = "none" if execution.reward is None else f"{execution.reward:g}"
    return (
        "<table><tr><th></th><th>test</th><th>verdict</th><th>points</th><th></th></tr>"
        f"{rows}<tr><td></td><td>reward</td><td></td><td>{reward}</td><td></td></tr></table>"
    )


def _pre(text: str, style: str = _PRE) -> str:
    return f'<pre style="{style}">{_text(text)}</pre>'


def _text(text: str) -> str:
    if len(text) > _TEXT_LIMIT:
        cut = len(text) - _TEXT_LIMIT
        half = _TEXT_LIMIT // 2
        text = f"{text[:half]}\n[… {cut} characters left out …]\n{text[-half:]}"
    return html.escape(plain(text), quote=True)


def _base64(value: Any) -> Optional[str]:
    """The value as base64 of which nothing needs escaping; None: it is none."""
    if not isinstance(value, str):
        return None
    try:
        return base64.b64encode(base64.b64decode("".join(value.split()), validate=True)).decode("ascii")
    except (binascii.Error, ValueError):
        return None
