package session

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"tcid/sandbox/kernel"
)

// Types of output items, as api/v1 has them.
const (
	typeStdout  = "stdout"
	typeStderr  = "stderr"
	typeError   = "error"
	typeDisplay = "display_data"
	typeResult  = "execute_result"
)

// collector keeps what an execution shows, in order and bounded: of stdout and
// stderr together the first three quarters of the budget and the last quarter,
// of display items a number and a size. Text that switches between the streams
// costs more than its bytes, so the pieces are bounded too. What is dropped is
// counted. It is not safe for concurrent use.
type collector struct {
	headLeft  int64
	tailMax   int64
	tailBytes int64
	displays  int
	shown     int64 // bytes of display items
	displayed int64 // bound of one display item
	errors    int

	// take counts bytes that are kept, and may refuse them; charged sums them up.
	take    func(n int64) bool
	charged int64

	byID    map[string]*item // display items that can be updated
	head    []*item
	tail    []*item // once headLeft is 0
	dropped map[string]int64
	total   int64 // bytes of output seen, kept or not

	droppedDisplays     int64
	droppedDisplayBytes int64
}

// item is an Output under construction.
type item struct {
	kind string
	text strings.Builder
	data map[string]any
	size int64
}

func newCollector(outputBytes, displayBytes int64) *collector {
	tail := outputBytes / 4
	return &collector{
		headLeft: outputBytes - tail, tailMax: tail, displayed: displayBytes,
		dropped: map[string]int64{}, byID: map[string]*item{},
		take: func(int64) bool { return true },
	}
}

// add takes an event. It returns the data that stands for what is displayed, and
// whether anything is to be seen of the event at all.
func (c *collector) add(e kernel.Event) (data map[string]any, seen bool) {
	switch e.Type {
	case typeStdout, typeStderr:
		c.total += int64(len(e.Text))
		c.addText(e.Type, e.Text)
		return nil, e.Text != ""
	case typeUpdateDisplay:
		if it := c.byID[e.DisplayID]; it != nil {
			return c.update(it, e.Data), true
		}
		return c.addDisplay(typeDisplay, e.DisplayID, e.Data)
	case typeDisplay, typeResult:
		return c.addDisplay(e.Type, e.DisplayID, e.Data)
	case typeError:
		if c.errors++; c.errors > maxErrorItems {
			return nil, false
		}
		text := tracebackText(e)
		if !c.charge(int64(len(text))) {
			text = fmt.Sprintf("[traceback of %d bytes dropped: over the limit]", len(text))
		}
		it := &item{kind: typeError}
		it.text.WriteString(text)
		c.append(it)
	}
	return nil, true
}

// charge counts bytes that are kept, unless they are refused.
func (c *collector) charge(n int64) bool {
	if !c.take(n) {
		return false
	}
	c.charged += n
	return true
}

func (c *collector) addText(kind, text string) {
	if text == "" {
		return
	}
	if !c.charge(int64(len(text))) {
		c.dropped[kind] += int64(len(text))
		return
	}
	if crowded(c.head, maxHeadItems) && c.head[len(c.head)-1].kind != kind {
		c.headLeft = 0
	}
	if c.headLeft > 0 {
		cut := cutAt(text, c.headLeft)
		c.headLeft -= int64(cut)
		if cut < len(text) {
			c.headLeft = 0
		}
		appendText(&c.head, kind, text[:cut], 0)
		text = text[cut:]
	}
	if text == "" {
		return
	}
	// Chunks of the tail stay small enough to be dropped piece by piece.
	appendText(&c.tail, kind, text, c.tailMax/8)
	c.tailBytes += int64(len(text))
	c.trimTail()
}

// trimTail drops the oldest text of the tail; other items stay.
func (c *collector) trimTail() {
	for i := 0; (c.tailBytes > c.tailMax || crowded(c.tail, maxTailItems)) && i < len(c.tail); {
		it := c.tail[i]
		if it.kind != typeStdout && it.kind != typeStderr {
			i++
			continue
		}
		text := it.text.String()
		over := c.tailBytes - c.tailMax
		if over > 0 && int64(len(text)) > over {
			cut := len(text) - cutBack(text, int64(len(text))-over)
			c.drop(it.kind, int64(cut))
			it.text.Reset()
			it.text.WriteString(text[cut:])
			return
		}
		c.drop(it.kind, int64(len(text)))
		c.tail = append(c.tail[:i], c.tail[i+1:]...)
	}
}

func (c *collector) drop(kind string, n int64) {
	c.dropped[kind] += n
	c.tailBytes -= n
	c.charge(-n)
}

// addDisplay keeps a display item, or where that is too large a note in its
// place, and returns what is kept.
func (c *collector) addDisplay(kind, id string, data map[string]any) (kept map[string]any, seen bool) {
	if c.displays++; c.displays > maxDisplays {
		size := dataSize(data)
		c.total += size
		c.droppedDisplays++
		c.droppedDisplayBytes += size
		return nil, false
	}
	it := &item{kind: kind}
	if id != "" {
		c.byID[id] = it
	}
	c.append(it)
	return c.update(it, data), true
}

// update gives a display item new data, or a note in the place of data that is
// too large.
func (c *collector) update(it *item, data map[string]any) map[string]any {
	size := dataSize(data)
	c.total += size
	c.shown -= it.size
	c.charge(-it.size)
	if size > c.displayed || c.shown+size > maxDisplaysBytes || !c.charge(size) {
		c.droppedDisplays++
		c.droppedDisplayBytes += size
		data, size = map[string]any{
			"text/plain": fmt.Sprintf("[display item of %d bytes dropped: over the limit]", size),
		}, 0
	}
	c.shown += size
	it.data, it.size = data, size
	return data
}

func (c *collector) append(it *item) {
	if c.headLeft > 0 || len(c.tail) == 0 && len(c.dropped) == 0 {
		c.head = append(c.head, it)
		return
	}
	c.tail = append(c.tail, it)
}

// account enters what came and what was dropped.
func (c *collector) account(to *Receipt) {
	to.OutputBytes = outputBytes(c)
	to.DroppedOutputBytes = c.dropped[typeStdout] + c.dropped[typeStderr] + c.droppedDisplayBytes
	to.Displays, to.DroppedDisplays = int64(c.displays), c.droppedDisplays
	if c.dropped[typeStdout]+c.dropped[typeStderr] > 0 {
		to.LimitsHit = append(to.LimitsHit, limitOutput)
	}
	if c.droppedDisplays > 0 {
		to.LimitsHit = append(to.LimitsHit, limitDisplays)
	}
}

// outputs returns the items, with a mark where text was dropped.
func (c *collector) outputs() []Output {
	j := joiner{out: make([]Output, 0, len(c.head)+len(c.tail)+2)}
	for _, it := range c.head {
		j.add(it.output())
	}
	for _, kind := range []string{typeStdout, typeStderr} {
		if n := c.dropped[kind]; n > 0 {
			j.add(Output{Type: kind, Text: fmt.Sprintf("\n[… %d bytes of %s dropped …]\n", n, kind)})
		}
	}
	for _, it := range c.tail {
		j.add(it.output())
	}
	j.end()
	return j.out
}

// joiner makes one item of adjacent text of one stream. Text is long: it is
// copied once, and not at all where it is in one piece.
type joiner struct {
	out   []Output
	texts []string // of the last item, not yet joined
}

func (j *joiner) add(o Output) {
	if n := len(j.out); n > 0 && len(j.texts) > 0 && j.out[n-1].Type == o.Type {
		j.texts = append(j.texts, o.Text)
		return
	}
	j.end()
	if o.Type == typeStdout || o.Type == typeStderr {
		j.texts = append(j.texts, o.Text)
	}
	j.out = append(j.out, o)
}

func (j *joiner) end() {
	if len(j.texts) > 1 {
		j.out[len(j.out)-1].Text = strings.Join(j.texts, "")
	}
	j.texts = j.texts[:0]
}

func (it *item) output() Output {
	return Output{Type: it.kind, Text: it.text.String(), Data: it.data}
}

// streams joins the text of stdout and of stderr.
func streams(outputs []Output) (stdout, stderr string) {
	texts := map[string][]string{}
	for _, o := range outputs {
		texts[o.Type] = append(texts[o.Type], o.Text)
	}
	return strings.Join(texts[typeStdout], ""), strings.Join(texts[typeStderr], "")
}

// appendText adds text to the last item when that is of the same stream and,
// with most > 0, still below most bytes.
func appendText(items *[]*item, kind, text string, most int64) {
	if n := len(*items); n > 0 {
		last := (*items)[n-1]
		if last.kind == kind && (most == 0 || int64(last.text.Len()) < most) {
			last.text.WriteString(text)
			return
		}
	}
	it := &item{kind: kind}
	it.text.WriteString(text)
	*items = append(*items, it)
}

// cutAt returns the largest length of at most n bytes that splits no rune.
func cutAt(text string, n int64) int {
	if int64(len(text)) <= n {
		return len(text)
	}
	i := int(n)
	for i > 0 && !utf8.RuneStart(text[i]) {
		i--
	}
	return i
}

// cutBack returns the largest length of at most n bytes, from the end, that
// splits no rune.
func cutBack(text string, n int64) int {
	i := len(text) - int(n)
	for i < len(text) && !utf8.RuneStart(text[i]) {
		i++
	}
	return len(text) - i
}

func tracebackText(e kernel.Event) string {
	if len(e.Traceback) > 0 {
		return strings.Join(e.Traceback, "\n")
	}
	return e.Name + ": " + e.Value
}

func dataSize(data map[string]any) int64 {
	var n int64
	for mime, v := range data {
		n += int64(len(mime))
		switch v := v.(type) {
		case string:
			n += int64(len(v))
		case json.RawMessage:
			n += int64(len(v))
		default:
			if b, err := json.Marshal(v); err == nil {
				n += int64(len(b))
			}
		}
	}
	return n
}
