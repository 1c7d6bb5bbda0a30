package kernel

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Bounds of one event, beside MaxFrame.
const (
	maxMIMEKeys   = 32
	maxMIMEKey    = 128
	maxLines      = 4096 // of a traceback; matches of a completion
	maxName       = 1024 // bytes of an exception's name
	maxDisplayID  = 512
	maxIndent     = 1024
	maxResult     = 2 << 20 // bytes of a result's JSON; kernels send at most 1 MiB
	maxMetadata   = 8 << 20
	maxOtherFrame = 4 << 20 // a frame that is neither display nor output
)

var mimeKey = regexp.MustCompile(`^[A-Za-z0-9_.+-]+/[A-Za-z0-9_.+-]+$`)

// Types of events.
const (
	TypeStdout        = "stdout"
	TypeStderr        = "stderr"
	TypeDisplay       = "display_data"
	TypeUpdateDisplay = "update_display_data"
	TypeResult        = "execute_result"
	TypeClearOutput   = "clear_output"
	TypeError         = "error"

	typeDone    = "done"
	typeVerdict = "verdict"

	typeCompletions  = "completions"
	typeCompleteness = "completeness"
)

// Event is something that an execution shows.
type Event struct {
	// Type is one of the Type constants.
	Type string
	// Text is the output of stdout and stderr.
	Text string
	// Data is the MIME bundle of displays and results: a string (text, or
	// base64 of binary types), or a json.RawMessage of any other JSON value.
	Data map[string]any
	// Metadata is a JSON object that belongs to Data, or nil.
	Metadata json.RawMessage
	// DisplayID names a display that can be updated; empty if it cannot.
	DisplayID string
	// Wait says that a clear_output takes effect when the next output comes.
	Wait bool
	// Name, Value and Traceback (lines without line ends) are the error's.
	Name, Value string
	Traceback   []string
}

// message is any frame of a kernel but hello. A pointer is nil when absent.
type message struct {
	Type         string          `json:"type"`
	Seq          *uint64         `json:"seq"`
	ID           *int64          `json:"id"`
	Text         *string         `json:"text"`
	Data         bundle          `json:"data"`
	Metadata     json.RawMessage `json:"metadata"`
	DisplayID    *string         `json:"display_id"`
	Wait         *bool           `json:"wait"`
	Name         *string         `json:"name"`
	Value        *string         `json:"value"`
	Traceback    lines           `json:"traceback"`
	Status       *string         `json:"status"`
	Result       json.RawMessage `json:"result"`
	ResultJSON   *bool           `json:"result_json"`
	ResultRepr   *string         `json:"result_repr"`
	ResultSource *string         `json:"result_source"`
	Message      *string         `json:"message"`
	Matches      lines           `json:"matches"`
	Start        *int64          `json:"start"`
	End          *int64          `json:"end"`
	Indent       *string         `json:"indent"`
}

// bundle is MIME data. It is decoded key by key: the limit on the number of
// keys must hold before a map of millions is made.
type bundle map[string]any

func (b *bundle) UnmarshalJSON(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return protocolErrorf("display data is not an object")
	}
	*b = bundle{}
	for n := 1; d.More(); n++ {
		if n > maxMIMEKeys { // repeated keys count: they cost as much to read
			return protocolErrorf("more than %d MIME types in one event", maxMIMEKeys)
		}
		t, err := d.Token()
		if err != nil {
			return err
		}
		key, _ := t.(string)
		if len(key) > maxMIMEKey || !mimeKey.MatchString(key) {
			return protocolErrorf("a MIME type that is none")
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		if value[0] == '"' {
			var text string
			if err := json.Unmarshal(value, &text); err != nil {
				return err
			}
			(*b)[key] = text
		} else {
			(*b)[key] = value
		}
	}
	return nil
}

// lines is an array of strings, bounded as bundle is.
type lines []string

func (l *lines) UnmarshalJSON(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return protocolErrorf("a list of strings is not an array")
	}
	*l = lines{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		line, ok := t.(string)
		if !ok || len(*l) == maxLines {
			return protocolErrorf("a list is not one of at most %d strings", maxLines)
		}
		*l = append(*l, line)
	}
	return nil
}

// decode reads a frame that follows hello: an event, or an answer.
func decode(frame []byte) (*message, error) {
	if err := checked(frame); err != nil {
		return nil, err
	}
	m := &message{}
	d := json.NewDecoder(bytes.NewReader(frame))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return nil, asProtocol(err)
	}
	if d.More() || d.InputOffset() != int64(len(frame)) {
		return nil, protocolErrorf("a frame holds more than one value")
	}
	if err := m.check(len(frame)); err != nil {
		return nil, err
	}
	return m, nil
}

// asProtocol makes an error of encoding/json a protocol error. It quotes
// nothing of the input at length.
func asProtocol(err error) error {
	if errors.Is(err, ErrProtocol) {
		return err
	}
	const most = 200
	text := err.Error()
	if len(text) > most {
		text = text[:most]
	}
	return fmt.Errorf("%w: %q", ErrProtocol, text)
}

// check compares a message's fields with what its type has.
func (m *message) check(size int) error {
	if m.Seq == nil {
		return protocolErrorf("an event without a number")
	}
	// Each field says whether it is present; want says whether it must be.
	shape, ok := shapes[m.Type]
	if !ok {
		return protocolErrorf("an unknown type of message")
	}
	if have := m.present(); have&^shape.may != 0 || shape.must&^have != 0 {
		return protocolErrorf("a %s with missing or foreign fields", m.Type)
	}
	switch m.Type {
	case TypeStdout, TypeStderr:
		return nil
	case TypeDisplay, TypeUpdateDisplay, TypeResult:
		return m.checkDisplay()
	}
	if size > maxOtherFrame {
		return protocolErrorf("a %s of %d bytes", m.Type, size)
	}
	switch m.Type {
	case TypeError:
		if len(*m.Name) > maxName {
			return protocolErrorf("an exception's name of %d bytes", len(*m.Name))
		}
	case typeDone:
		return m.checkDone()
	case typeVerdict:
		if !verdicts[*m.Status] {
			return protocolErrorf("an unknown verdict")
		}
	case typeCompletions:
		if *m.Start < 0 || *m.End < *m.Start {
			return protocolErrorf("completions of what lies before the code")
		}
	case typeCompleteness:
		if !completenesses[*m.Status] || len(*m.Indent) > maxIndent || strings.Trim(*m.Indent, " \t") != "" {
			return protocolErrorf("an unknown kind of completeness")
		}
	}
	return nil
}

func (m *message) checkDisplay() error {
	if len(m.Metadata) > maxMetadata || len(m.Metadata) > 0 && m.Metadata[0] != '{' {
		return protocolErrorf("metadata is not an object of at most %d bytes", maxMetadata)
	}
	if m.DisplayID != nil && len(*m.DisplayID) > maxDisplayID {
		return protocolErrorf("a display id of %d bytes", len(*m.DisplayID))
	}
	return nil
}

func (m *message) checkDone() error {
	switch {
	case !statuses[*m.Status]:
		return protocolErrorf("an unknown status")
	case !sources[*m.ResultSource]:
		return protocolErrorf("an unknown source of a result")
	case *m.ResultJSON != (m.Result != nil):
		return protocolErrorf("result and result_json disagree")
	case (*m.ResultSource == SourceNone) != (m.ResultRepr == nil):
		return protocolErrorf("result_repr and result_source disagree")
	case *m.ResultSource == SourceNone && m.Result != nil:
		return protocolErrorf("a result that comes from nowhere")
	case len(m.Result) > maxResult:
		return protocolErrorf("a result of %d bytes", len(m.Result))
	}
	return nil
}

func (m *message) event() Event {
	return Event{
		Type: m.Type, Text: value(m.Text), Data: m.Data, Metadata: m.Metadata, DisplayID: value(m.DisplayID),
		Wait: m.Wait != nil && *m.Wait,
		Name: value(m.Name), Value: value(m.Value), Traceback: m.Traceback,
	}
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
