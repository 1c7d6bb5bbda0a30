package session

import (
	"encoding/json"
	"strings"
	"time"

	"tcid/daemon/grade"
)

// Types of events that are no types of output, as api/v1 has them.
const (
	typeStarted       = "started"
	typeUpdateDisplay = "update_display_data"
	typeClearOutput   = "clear_output"
	typeTest          = "test"
	typeTruncated     = "truncated"
	typeFinished      = "finished"
)

// Event is something that happened to an execution. Type says which fields there
// are; they are those of api/v1. Most events are text, and many are kept, so what
// only others have lies apart.
type Event struct {
	Seq    int64 // 1, 2, 3 …
	Type   string
	Time   time.Time
	Text   string  // stdout, stderr
	Detail *Detail // nil: none
}

// Detail is what events have that are not text.
type Detail struct {
	Data      map[string]any
	Metadata  json.RawMessage
	DisplayID string
	Wait      bool // clear_output
	Error     *ExecError
	Verdict   *grade.Verdict // test
	Index     int            // of the test
	Missing   int64          // truncated: events up to Seq that are no longer kept
}

// finished tells that no event follows.
func (e *Event) finished() bool { return e.Type == typeFinished }

const (
	// entryCost is what an event costs beside its text and data, in bytes.
	entryCost = 256
	// keyCost is what a MIME type of its data costs beside its name and value.
	keyCost = 64
	// maxKeptEvents bounds the events of an execution that are kept.
	maxKeptEvents = 65_536
	// readBytes bounds the text and data of the events that are read at once.
	readBytes = 1 << 20
)

// eventLog keeps an execution's latest events: of text so many bytes, of other
// data so many. The oldest go first. It is not safe for concurrent use.
type eventLog struct {
	textLeft, dataLeft int64
	kept               []Event
	next               int64         // the next event's number
	more               chan struct{} // closed when another event comes; nil: nobody waits
}

func newEventLog(text, data int64) *eventLog {
	return &eventLog{textLeft: text, dataLeft: data, next: 1}
}

// costs are what an event takes of the two budgets.
func (e *Event) costs() (text, data int64) {
	if d := e.Detail; d != nil {
		data = dataSize(d.Data) + int64(len(d.Data)*keyCost+len(d.Metadata)+len(d.DisplayID))
		if d.Error != nil {
			for _, line := range d.Error.Traceback {
				data += int64(len(line))
			}
			data += int64(len(d.Error.Value))
		}
	}
	return int64(len(e.Text)), data
}

// append numbers an event and keeps it. It returns how many bytes are kept more.
func (l *eventLog) append(e Event) (grown int64) {
	e.Seq = l.next
	l.next++
	text, data := e.costs()
	l.textLeft -= text
	l.dataLeft -= data
	grown = text + data + entryCost
	l.kept = append(l.kept, e)
	for len(l.kept) > 1 && (l.textLeft < 0 || l.dataLeft < 0 || len(l.kept) > maxKeptEvents) {
		grown -= l.drop()
	}
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
	return grown
}

// drop forgets the oldest event, and returns how many bytes that frees.
func (l *eventLog) drop() int64 {
	text, data := l.kept[0].costs()
	l.kept[0] = Event{}
	l.kept = l.kept[1:]
	l.textLeft += text
	l.dataLeft += data
	return text + data + entryCost
}

// after returns some of the events behind number seq, at least one if there is
// one. Where the next ones are no longer kept a truncated event says so.
func (l *eventLog) after(seq int64) []Event {
	first := l.next - int64(len(l.kept))
	var found []Event
	if seq+1 < first {
		found = append(found, Event{Seq: first - 1, Type: typeTruncated, Time: l.kept[0].Time, Detail: &Detail{Missing: first - 1 - seq}})
		seq = first - 1
	}
	size := int64(0)
	for _, e := range l.kept[seq+1-first:] {
		if size > readBytes {
			break
		}
		text, data := e.costs()
		size += text + data + entryCost
		found = append(found, e)
	}
	return found
}

// settle makes the log small once nothing more comes. Texts that are part of what
// was kept of the streams are not kept once more; it returns how many bytes that
// frees.
func (l *eventLog) settle(stdout, stderr string) (freed int64) {
	l.kept = append(make([]Event, 0, len(l.kept)), l.kept...)
	// The latest text is kept of both: what lies before a gap ends the likeness.
	rest := map[string]string{typeStdout: stdout, typeStderr: stderr}
	for i := len(l.kept) - 1; i >= 0; i-- {
		e := &l.kept[i]
		before, ok := strings.CutSuffix(rest[e.Type], e.Text)
		if !ok {
			delete(rest, e.Type)
			continue
		}
		e.Text = rest[e.Type][len(before):]
		rest[e.Type] = before
		freed += int64(len(e.Text))
	}
	return freed
}

// wait returns a channel that is closed when another event comes.
func (l *eventLog) wait() <-chan struct{} {
	if l.more == nil {
		l.more = make(chan struct{})
	}
	return l.more
}

// Events returns events of the execution behind number after: some, not always
// all that there are. When there are none yet, more is closed once that changes.
// ended says that nothing follows. The events of an execution that ended long
// ago are gone.
func (e *Execution) Events(after int64) (events []Event, more <-chan struct{}, ended bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.active == nil && time.Since(e.result.FinishedAt) > eventsRemembered {
		e.log = nil
	}
	if e.log == nil {
		return nil, nil, false, &Error{Code: CodeGone,
			Message: "the events of execution " + quote(e.id) + " are no longer kept; ask for the execution itself"}
	}
	if last := e.log.next - 1; after < 0 || after > last {
		return nil, nil, false, invalid("after", "after is %d, but the newest event has the number %d", after, last)
	}
	if events = e.log.after(after); len(events) == 0 {
		if e.active == nil {
			return nil, nil, true, nil
		}
		return nil, e.log.wait(), false, nil
	}
	return events, nil, events[len(events)-1].finished(), nil
}

// recordLocked keeps an event.
func (e *Execution) recordLocked(ev Event) {
	ev.Time = time.Now()
	e.charge(e.log.append(ev))
	for len(e.log.kept) > 1 && e.held.full(e.principal) {
		e.charge(-e.log.drop())
	}
}

// charge counts bytes that are kept for the execution's principal. Those of an
// event are never refused; older ones make room.
func (e *Execution) charge(bytes int64) {
	e.charged += bytes
	e.held.force(e.principal, bytes)
}
