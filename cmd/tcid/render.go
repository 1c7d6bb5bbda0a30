package main

import (
	"fmt"
	"io"
	"strings"

	v1 "tcid/api/v1"
)

// renderer prints events as they come: stdout and the text of displays and
// results to stdout, stderr and errors to stderr.
type renderer struct {
	out, err io.Writer
	screen   *screen       // nil: stdout is no terminal
	both     bool          // stderr goes to it as well
	saver    *saver        // nil: rich output is not kept
	label    func() string // what stands before a result; nil: nothing

	clear   bool              // before the next output
	shown   map[string]string // text of a display, by its id
	latest  string            // the display whose text is the last on the screen
	from    int               // the row in which that begins
	missing int64             // events that did not come
}

func (a *app) renderer(s *saver) *renderer {
	r := &renderer{out: a.out, err: a.err, screen: newScreen(a.out), saver: s, shown: map[string]string{}}
	r.both = newScreen(a.err) != nil
	return r
}

// event prints an event. An error means that the output can't be written.
func (r *renderer) event(e v1.Event) error {
	switch e.Type {
	case v1.OutputStdout:
		return r.stream(r.out, e.Text)
	case v1.OutputStderr:
		return r.stream(r.err, e.Text)
	case v1.OutputError:
		return r.line(r.err, errorText(e))
	case v1.OutputDisplayData, v1.OutputExecuteResult:
		return r.display(e)
	case v1.EventUpdateDisplay:
		return r.update(e)
	case v1.EventClearOutput:
		r.clear = true
		if !e.Wait {
			return r.clearNow()
		}
	case v1.EventTruncated:
		r.missing += e.Events
		return r.line(r.err, fmt.Sprintf("tcid: %d events are missing here: they came faster than they were read, or too long ago", e.Events))
	}
	return nil
}

// stream prints a piece of stdout or stderr.
func (r *renderer) stream(to io.Writer, text string) error {
	if err := r.clearNow(); err != nil {
		return err
	}
	r.latest = ""
	return r.write(to, text)
}

// line prints text that ends its line and, on a terminal, begins one.
func (r *renderer) line(to io.Writer, text string) error {
	if err := r.clearNow(); err != nil {
		return err
	}
	r.latest = ""
	text = strings.TrimRight(text, "\n") + "\n"
	if r.screen != nil && r.screen.column > 0 {
		text = "\n" + text
	}
	return r.write(to, text)
}

func (r *renderer) write(to io.Writer, text string) error {
	if _, err := io.WriteString(to, text); err != nil {
		return &outputError{err}
	}
	if r.screen != nil && (to == r.out || r.both) {
		r.screen.saw(text)
	}
	return nil
}

func (r *renderer) display(e v1.Event) error {
	text := plainText(e.Data)
	if r.label != nil && e.Type == v1.OutputExecuteResult {
		label := r.label()
		if strings.Contains(strings.TrimRight(text, "\n"), "\n") {
			label += "\n" // so that tables stay straight
		}
		text = label + text
	}
	if err := r.line(r.out, text); err != nil {
		return err
	}
	if e.DisplayID != "" {
		r.shown[e.DisplayID] = text
		r.mark(e.DisplayID, text)
	}
	return r.save(e)
}

// mark remembers where the display that was just printed begins.
func (r *renderer) mark(id, text string) {
	if r.screen == nil || r.screen.lost {
		return
	}
	// Count it anew: lines that wrap take more than one row.
	probe := screen{size: r.screen.size}
	probe.saw(strings.TrimRight(text, "\n") + "\n")
	r.latest, r.from = id, r.screen.row-probe.row
}

// update prints what a display shows now, in its place where that is the last
// thing on the screen. Text that stays the same is not printed again.
func (r *renderer) update(e v1.Event) error {
	text := plainText(e.Data)
	if text != r.shown[e.DisplayID] {
		if r.latest == e.DisplayID && e.DisplayID != "" {
			if err := r.screen.back(r.from); err != nil {
				return &outputError{err}
			}
		}
		if err := r.line(r.out, text); err != nil {
			return err
		}
		r.shown[e.DisplayID] = text
		r.mark(e.DisplayID, text)
	}
	return r.save(e)
}

func (r *renderer) save(e v1.Event) error {
	if r.saver == nil {
		return nil
	}
	for note, err := range r.saver.save(e) {
		if err != nil {
			return err
		}
		if err := r.note(note); err != nil {
			return err
		}
	}
	return nil
}

// note prints a line of tcid itself, which is not part of the output.
func (r *renderer) note(text string) error {
	latest := r.latest
	if err := r.line(r.err, "tcid: "+text); err != nil {
		return err
	}
	if !r.both {
		r.latest = latest
	}
	return nil
}

// clearNow takes back what was shown, if that was asked for. Only a terminal can
// do it: elsewhere everything stays.
func (r *renderer) clearNow() error {
	if !r.clear {
		return nil
	}
	r.clear, r.latest = false, ""
	if r.screen == nil {
		return nil
	}
	if err := r.screen.back(0); err != nil {
		return &outputError{err}
	}
	return nil
}

// errorText is the traceback, or what stands in its place.
func errorText(e v1.Event) string {
	if len(e.Traceback) > 0 {
		return strings.Join(e.Traceback, "\n")
	}
	if e.Value == "" {
		return e.Name
	}
	return e.Name + ": " + e.Value
}

// outputError means that what was to be printed could not be.
type outputError struct{ error }

func (e *outputError) Unwrap() error { return e.error }

func (e *outputError) Error() string { return fmt.Sprintf("print the output: %v", e.error) }
