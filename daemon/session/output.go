package session

import (
	"encoding/json"
	"fmt"
	"slices"
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
		if !isStream(it.kind) {
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

// clip gives back the room that texts had to grow. Nothing is added any more.
func (c *collector) clip() {
	for _, it := range slices.Concat(c.head, c.tail) {
		if size := it.text.Len(); it.text.Cap()-size > size/8 {
			text := it.text.String()
			it.text = strings.Builder{}
			it.text.WriteString(text)
		}
	}
}

// enter enters the items, with a mark where text was dropped, and the streams.
func (c *collector) enter(r *Result) {
	j := joiner{outputs: make([]Output, 0, len(c.head)+len(c.tail)+len(c.dropped)), streams: map[string]*stream{}}
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
	r.DroppedStdout, r.DroppedStderr = c.dropped[typeStdout], c.dropped[typeStderr]
	r.Stdout, r.Stderr = j.join(typeStdout), j.join(typeStderr)
	r.Outputs = j.outputs
}

// joiner makes one item of adjacent text of one stream. Text is long: it is
// copied once, for the stream and its items together, and not at all where it is
// in one piece.
type joiner struct {
	outputs []Output
	streams map[string]*stream
}

// stream is the text of stdout or stderr, not yet joined.
type stream struct {
	texts []string
	items []streamItem
}

// streamItem is an item of outputs, and how long its text is.
type streamItem struct{ at, size int }

func (j *joiner) add(o Output) {
	if !isStream(o.Type) {
		j.outputs = append(j.outputs, o)
		return
	}
	s := j.streams[o.Type]
	if s == nil {
		s = &stream{}
		j.streams[o.Type] = s
	}
	s.texts = append(s.texts, o.Text)
	if last := len(j.outputs) - 1; last < 0 || j.outputs[last].Type != o.Type {
		j.outputs = append(j.outputs, Output{Type: o.Type})
		s.items = append(s.items, streamItem{at: last + 1})
	}
	s.items[len(s.items)-1].size += len(o.Text)
}

// join joins a stream's text, and gives its items their parts of it.
func (j *joiner) join(kind string) string {
	s := j.streams[kind]
	if s == nil {
		return ""
	}
	text := strings.Join(s.texts, "")
	rest := text
	for _, i := range s.items {
		j.outputs[i.at].Text, rest = rest[:i.size], rest[i.size:]
	}
	return text
}

func isStream(kind string) bool { return kind == typeStdout || kind == typeStderr }

func (it *item) output() Output {
	return Output{Type: it.kind, Text: it.text.String(), Data: it.data}
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
