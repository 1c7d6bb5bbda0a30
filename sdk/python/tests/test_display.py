"""How executions look in a notebook, and that what they show can do nothing there."""

from __future__ import annotations

import base64
import unittest
from html.parser import HTMLParser
from typing import Any, Optional

import tci
from fake_daemon import EXECUTION
from tci._display import plain

PNG = base64.b64encode(b"\x89PNG picture").decode()
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)></pre></iframe>\"'><b>"


def execution(*outputs: dict[str, Any], **fields: Any) -> tci.Execution:
    return tci.Execution.from_wire({**EXECUTION, "outputs": list(outputs), **fields})


def shown(**data: Any) -> dict[str, Any]:
    return {
        "type": "display_data",
        "data": {k.replace("__", "+").replace("_", "/"): v for k, v in data.items()},
    }


class Page(HTMLParser):
    """What a browser would make of it: the tags, their attributes and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, Optional[str]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def attribute(self, name: str) -> str:
        return next(v or "" for n, v in self.attributes if n == name)


class Html(unittest.TestCase):
    def page(self, *outputs: dict[str, Any], **fields: Any) -> Page:
        page = Page(execution(*outputs, **fields)._repr_html_())
        self.assertEqual(page.open, [])
        self.assertLessEqual(set(page.tags), {"div", "pre", "img", "iframe", "b", "table", "tr", "td", "th"})
        self.assertLessEqual(
            {n for n, _ in page.attributes}, {"class", "style", "src", "srcdoc", "sandbox", "referrerpolicy"}
        )
        return page

    def test_text(self) -> None:
        page = self.page({"type": "stdout", "data": "a<b\n"}, {"type": "stderr", "data": "warn"})
        self.assertEqual(page.text, "a<b\nwarn")
        self.assertEqual(self.page().text, "ok, without output")

    def test_nothing_hostile_is_markup(self) -> None:
        failure = {"name": HOSTILE, "value": HOSTILE, "traceback": [HOSTILE]}
        test = {"name": HOSTILE, "passed": True, "reward": 1, "status": HOSTILE, "message": HOSTILE}
        page = self.page(
            {"type": "stdout", "data": HOSTILE},
            {"type": "stderr", "data": HOSTILE},
            shown(text_plain=HOSTILE),
            shown(image_png=HOSTILE, text_plain=HOSTILE),
            {"type": "display_data", "data": {HOSTILE: HOSTILE}},
            {"type": "display_data", "data": [HOSTILE]},
            status=HOSTILE,
            error=failure,
            tests=[test],
            reward=1,
        )
        # Each in its place, as text: stdout, stderr, two displays, the name of a
        # type, the traceback, the status, and three times the test.
        self.assertEqual(page.text.count("<script>alert(1)</script>"), 10)
        self.assertNotIn("iframe", page.tags)

    def test_html_is_framed(self) -> None:
        page = self.page(shown(text_html=HOSTILE, text_plain="plain"))
        self.assertEqual(page.attribute("sandbox"), "")
        self.assertEqual(page.tags.count("iframe"), 1)
        document = page.attribute("srcdoc")
        self.assertTrue(document.endswith(HOSTILE))
        policy = Page(document[: -len(HOSTILE)])
        self.assertIn("default-src 'none'", policy.attribute("content") + str(policy.attributes))
        self.assertLess(document.index("Content-Security-Policy"), document.index(HOSTILE))

    def test_html_that_is_too_much(self) -> None:
        page = self.page(shown(text_html="<p>" * 10**6, text_plain="instead"))
        self.assertEqual(page.text, "instead")

    def test_images(self) -> None:
        page = self.page(
            shown(image_png=PNG, text_html="<b>", text_plain="x"), shown(image_svg__xml="<svg/>")
        )
        sources = [v for n, v in page.attributes if n == "src"]
        svg = base64.b64encode(b"<svg/>").decode()
        self.assertEqual(sources, [f"data:image/png;base64,{PNG}", f"data:image/svg+xml;base64,{svg}"])

    def test_errors_have_no_colours(self) -> None:
        text = "\x1b[0;31mValueError\x1b[0m: x\x07"
        self.assertEqual(
            self.page({"type": "error", "data": text}, status="error").text, "ValueError: xerror"
        )
        failure = {"name": "E", "value": "v", "traceback": [text]}
        self.assertEqual(self.page(status="timeout", error=failure).text, "ValueError: xtimeout")

    def test_tests_are_a_table(self) -> None:
        test = {"name": "four", "passed": False, "reward": 0.5, "status": "wrong_answer", "message": "m"}
        page = self.page(tests=[test, {**test, "passed": True}], reward=0.25)
        self.assertEqual(page.tags.count("tr"), 4)
        self.assertIn("✗fourwrong_answer0.5m✓four", page.text)
        self.assertIn("reward0.25", page.text)

    def test_long_text_is_cut(self) -> None:
        page = self.page({"type": "stdout", "data": "a" * 10**6 + "z"})
        self.assertLess(len(page.text), 60_000)
        self.assertIn("left out", page.text)
        self.assertTrue(page.text.endswith("z"))

    def test_what_a_terminal_would_leave(self) -> None:
        for text, want in (
            ("\r 10%\r 20%\r100%\ndone\r\n", "100%\ndone\n"),
            ("a\rb\r", "b"),
            ("\x1b]0;title\x07x\x1b[2K\x1b(By", "xy"),
            ("tab\tstays\x00\x08", "tab\tstays"),
        ):
            self.assertEqual(plain(text), want)


class Png(unittest.TestCase):
    def test_the_first(self) -> None:
        e = execution(
            {"type": "stdout", "data": "x"},
            shown(image_png="no base64!"),
            shown(text_plain="x"),
            shown(image_png=PNG),
        )
        self.assertEqual(e._repr_png_(), b"\x89PNG picture")

    def test_none(self) -> None:
        self.assertIsNone(execution(shown(text_plain="x"))._repr_png_())


if __name__ == "__main__":
    unittest.main()
