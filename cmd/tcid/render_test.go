package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	v1 "tcid/api/v1"
)

// What a terminal of ten columns and five rows gets.
func TestScreen(t *testing.T) {
	out := func(text string) v1.Event { return v1.Event{Type: v1.OutputStdout, Text: text} }
	display := func(id, text string) v1.Event {
		return v1.Event{Type: v1.OutputDisplayData, DisplayID: id, Data: map[string]any{"text/plain": text}}
	}
	update := func(id, text string) v1.Event {
		e := display(id, text)
		e.Type = v1.EventUpdateDisplay
		return e
	}
	result := v1.Event{Type: v1.OutputExecuteResult, Data: map[string]any{"text/plain": "42"}}
	clear, wait := v1.Event{Type: v1.EventClearOutput}, v1.Event{Type: v1.EventClearOutput, Wait: true}
	for name, c := range map[string]struct {
		events []v1.Event
		want   string
	}{
		"a result begins a line": {[]v1.Event{out("a"), result, out("b")}, "a\n42\nb"},
		"clear":                  {[]v1.Event{out("1\n2"), clear, out("3")}, "1\n2\r\x1b[1A\x1b[J3"},
		"clear a line":           {[]v1.Event{out("1"), clear, out("2")}, "1\r\x1b[J2"},
		"clear when more comes":  {[]v1.Event{out("1\n"), wait, wait, out("2")}, "1\n\r\x1b[1A\x1b[J2"},
		"nothing more comes":     {[]v1.Event{out("1\n"), wait}, "1\n"},
		"lines that wrap":        {[]v1.Event{out(strings.Repeat("x", 25)), clear}, strings.Repeat("x", 25) + "\r\x1b[2A\x1b[J"},
		"a line that just fits":  {[]v1.Event{out(strings.Repeat("x", 10)), clear}, strings.Repeat("x", 10) + "\r\x1b[J"},
		"colours":                {[]v1.Event{out("\x1b[31mred\x1b[0m\n"), clear}, "\x1b[31mred\x1b[0m\n\r\x1b[1A\x1b[J"},
		"a progress bar":         {[]v1.Event{out("50%\r100%\r"), clear}, "50%\r100%\r\r\x1b[J"},
		// What has scrolled away, or might be somebody else's, stays.
		"too much":         {[]v1.Event{out("1\n2\n3\n4\n5\n"), clear, out("6")}, "1\n2\n3\n4\n5\n6"},
		"cursor movements": {[]v1.Event{out("1\n\x1b[5A"), clear, out("2")}, "1\n\x1b[5A2"},
		"update":           {[]v1.Event{out("a\n"), display("d", "one"), update("d", "two")}, "a\none\n\r\x1b[1A\x1b[Jtwo\n"},
		"update of more":   {[]v1.Event{display("d", "1\n2"), update("d", "3"), update("d", "3")}, "1\n2\n\r\x1b[2A\x1b[J3\n"},
		"update far away":  {[]v1.Event{display("d", "one"), out("x\n"), update("d", "two"), update("d", "3")}, "one\nx\ntwo\n\r\x1b[1A\x1b[J3\n"},
		"another one":      {[]v1.Event{display("d", "one"), display("e", "x"), update("d", "two")}, "one\nx\ntwo\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			r := &renderer{out: &b, err: &b, both: true, shown: map[string]string{},
				screen: &screen{out: &b, size: func() (int, int) { return 10, 5 }}}
			for _, e := range c.events {
				if err := r.event(e); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(c.want, b.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOutputDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	show := func(id string, data map[string]any) v1.Event {
		return v1.Event{Type: v1.OutputDisplayData, DisplayID: id, Data: data}
	}
	update := show("d", map[string]any{"image/png": "bmV3", "text/plain": "new"})
	update.Type = v1.EventUpdateDisplay
	result := show("", map[string]any{"text/plain": "1", "application/json": map[string]any{"a": 1}})
	result.Type = v1.OutputExecuteResult
	startFake(t, map[string]answer{once: streamed(execution(v1.StatusOK),
		show("d", map[string]any{"image/png": "b2xk\nIQ==\n", "text/plain": "old"}),
		show("", map[string]any{"text/plain": "only text"}),
		show("", map[string]any{"image/svg+xml": "<svg/>", "text/html": "<p>"}),
		show("", map[string]any{"image/jpeg": "not base64!"}),
		update, result,
		show("", map[string]any{"application/../x\x1b/": "evil", "application/vnd.vega.v5+json": map[string]any{}}),
	)})
	path := func(name string) string { return filepath.Join(dir, name) }
	want := "tcid: image/png is in " + path("output-001.png") + "\n" +
		"tcid: image/svg+xml is in " + path("output-002.svg") + "\ntcid: text/html is in " + path("output-002.html") + "\n" +
		"tcid: image/jpeg was not saved: it is no base64: illegal base64 data at input byte 3\n" +
		"tcid: image/png is in " + path("output-001.png") + "\n" +
		"tcid: application/json is in " + path("output-004.json") + "\n" +
		"tcid: application/../x / is in " + path("output-005.bin") + "\ntcid: application/vnd.vega.v5+json is in " + path("output-005.vnd-vega-v5.json") + "\n"
	out := "old\nonly text\n[image/svg+xml, text/html]\n[image/jpeg]\nnew\n1\n[application/../x /, application/vnd.vega.v5+json]\n"
	check(t, out, want, 0)(tcid("", "run", "--code", "1", "--output-dir", dir))
	// Another run overwrites nothing.
	tcid("", "run", "--code", "1", "--output-dir", dir)
	for name, content := range map[string]string{
		"output-001.png": "new", "output-002.svg": "<svg/>", "output-002.html": "<p>", "output-004.json": "{\n  \"a\": 1\n}\n",
		"output-005.bin": "evil", "output-006.png": "new", "output-007.svg": "<svg/>", "output-010.bin": "evil",
	} {
		if got, err := os.ReadFile(path(name)); err != nil || string(got) != content {
			t.Errorf("%s holds %q, %v; want %q", name, got, err, content)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 12 {
		t.Errorf("the directory holds %v, %v", entries, err)
	}
}

func TestExtension(t *testing.T) {
	for mimeType, want := range map[string]string{
		"image/png": "png", "text/csv": "csv.txt", "application/vnd.plotly.v1+json": "vnd-plotly-v1.json", "text/": "bin", "": "bin",
		"image/x-icon": "x-icon", "a/../../b": "bin", "text/vnd.x; charset=utf-8": "vnd-x.txt",
		"x/" + strings.Repeat("y", 1000): strings.Repeat("y", 40),
	} {
		if got := extension(mimeType); got != want {
			t.Errorf("%s", fmt.Sprintf("%.50q gives %q, want %q", mimeType, got, want))
		}
	}
}
