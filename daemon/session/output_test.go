package session

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tcid/sandbox/kernel"
)

// entered is what a collector makes of what it keeps.
func entered(c *collector) (r Result) {
	c.enter(&r)
	return r
}

func text(kind, s string) kernel.Event { return kernel.Event{Type: kind, Text: s} }

func TestCollectorKeepsOrderAndMerges(t *testing.T) {
	c := newCollector(1000, 1000)
	for _, e := range []kernel.Event{
		text("stdout", "a"), text("stdout", "b"), text("stderr", "e"),
		{Type: "display_data", Data: map[string]any{"text/plain": "x"}},
		text("stdout", "c"),
		{Type: "execute_result", Data: map[string]any{"text/plain": "4"}},
	} {
		c.add(e)
	}
	want := []Output{
		{Type: "stdout", Text: "ab"},
		{Type: "stderr", Text: "e"},
		{Type: "display_data", Data: map[string]any{"text/plain": "x"}},
		{Type: "stdout", Text: "c"},
		{Type: "execute_result", Data: map[string]any{"text/plain": "4"}},
	}
	if diff := cmp.Diff(want, entered(c).Outputs); diff != "" {
		t.Errorf("outputs (-want +got):\n%s", diff)
	}
}

// What is kept is the head and the tail of what came, whole runes, within the
// budget, and the dropped bytes are counted.
func TestCollectorBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		budget := int64(rapid.IntRange(64, 512).Draw(t, "budget"))
		chunks := rapid.SliceOf(rapid.StringOfN(rapid.RuneFrom([]rune("aé€𝄞\n")), 0, 40, -1)).Draw(t, "chunks")
		c := newCollector(budget, 100)
		var all strings.Builder
		for _, s := range chunks {
			c.add(text("stdout", s))
			all.WriteString(s)
		}
		got := entered(c).Stdout
		if !utf8.ValidString(got) {
			t.Fatalf("a rune was split: %q", got)
		}
		dropped := c.dropped["stdout"]
		if dropped == 0 {
			if got != all.String() {
				t.Fatalf("nothing was counted as dropped, but %q became %q", all.String(), got)
			}
			return
		}
		mark := strings.Index(got, "\n[… ")
		head, rest := got[:mark], got[mark:]
		tail := rest[strings.Index(rest, "…]\n")+len("…]\n"):]
		if !strings.HasPrefix(all.String(), head) || !strings.HasSuffix(all.String(), tail) {
			t.Fatalf("%q is not the head and %q not the tail of %q", head, tail, all.String())
		}
		if kept := int64(len(head) + len(tail)); kept > budget || kept+dropped != int64(all.Len()) {
			t.Fatalf("kept %d of a budget of %d, dropped %d, of %d", kept, budget, dropped, all.Len())
		}
		var receipt Receipt
		if c.account(&receipt); receipt.DroppedOutputBytes != dropped || !slices.Equal(receipt.LimitsHit, []string{"output"}) {
			t.Fatalf("of %d bytes dropped the receipt says %+v", dropped, receipt)
		}
	})
}

func TestCollectorBoundsDisplays(t *testing.T) {
	c := newCollector(1000, 100)
	c.add(kernel.Event{Type: "display_data", Data: map[string]any{"image/png": strings.Repeat("x", 101)}})
	for range maxDisplays + 50 {
		c.add(kernel.Event{Type: "display_data", Data: map[string]any{"text/plain": "y"}})
	}
	out := entered(c).Outputs
	if len(out) != maxDisplays {
		t.Errorf("%d items were kept, want %d", len(out), maxDisplays)
	}
	if s, _ := out[0].Data["text/plain"].(string); !strings.Contains(s, "dropped") {
		t.Errorf("the item that was too large became %v", out[0])
	}
	var receipt Receipt
	c.account(&receipt)
	if receipt.Displays != maxDisplays+51 || receipt.DroppedDisplays != 52 || receipt.DroppedOutputBytes < 101 || !slices.Equal(receipt.LimitsHit, []string{"displays"}) {
		t.Errorf("receipt = %+v", receipt)
	}
}

// Text in tiny pieces of both streams costs little, however much comes, and
// empty text nothing.
func TestCollectorManyItems(t *testing.T) {
	c := newCollector(8<<20, 1000)
	const pieces = 200_000
	for n := range pieces {
		c.add(text([]string{typeStdout, typeStderr}[n%2], "x"))
		c.add(text(typeStdout, ""))
	}
	if len(c.head) > maxHeadItems || len(c.tail) > maxTailItems {
		t.Errorf("%d items of the head and %d of the tail are kept", len(c.head), len(c.tail))
	}
	r := entered(c)
	kept := int64(strings.Count(r.Stdout, "x") + strings.Count(r.Stderr, "x"))
	var receipt Receipt
	c.account(&receipt)
	if dropped := c.dropped[typeStdout] + c.dropped[typeStderr]; kept+dropped != pieces || receipt.DroppedOutputBytes != dropped ||
		!slices.Contains(receipt.LimitsHit, limitOutput) {
		t.Errorf("of %d bytes, %d are kept and %d dropped; %+v", pieces, kept, dropped, receipt)
	}
}
