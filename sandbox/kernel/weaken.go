//go:build weaken

package kernel

import (
	"encoding/json"
	"io/fs"
	"math"
	"testing/fstest"
	"time"

	"tcid/internal/weaken"
)

func without(what string) bool { return weaken.Without(what) }

// frameLimit believes every length without "framing".
var frameLimit = map[bool]int{false: MaxFrame, true: math.MaxInt32}[without("framing")]

// closeTimeout is long without "close", but not without end: the tests go on.
var closeTimeout = map[bool]time.Duration{false: time.Second, true: 25 * time.Second}[without("close")]

// message passes what it can't read without "shapes", takes any number, any
// time and any answer as the right one without "order", and believes what is
// printed without "sentinel".
func (c *Conn) message(frame []byte) (*message, error) {
	m, err := decode(frame)
	if err != nil && without("shapes") {
		seq, text := c.seq+1, ""
		return &message{Type: TypeStdout, Seq: &seq, Text: &text}, nil
	}
	if err == nil && without("sentinel") && m.Type == TypeStdout {
		printed := &message{}
		if json.Unmarshal([]byte(*m.Text), printed) == nil && (printed.Type == typeDone || printed.Type == typeVerdict) {
			printed.Seq = m.Seq
			m = c.fit(printed)
		}
	}
	if err == nil && without("order") {
		seq := c.seq + 1
		m.Seq = &seq
		m = c.fit(m)
	}
	return m, err
}

// fit makes a message one that the call under way, or the next one, may get.
func (c *Conn) fit(m *message) *message {
	for {
		c.mu.Lock()
		k, err := c.call, c.err
		c.mu.Unlock()
		if err != nil || k != nil && m.Type != typeDone && m.Type != typeVerdict {
			return m
		}
		if k != nil {
			m.ID, m.Type = &k.id, answers[k.kind]
			if m.Type == typeDone && m.ResultJSON == nil {
				ok, no, none := StatusOK, false, SourceNone
				m.Status, m.ResultJSON, m.ResultSource = &ok, &no, &none
			}
			if m.Message == nil {
				m.Message = new(string)
			}
			return m
		}
		time.Sleep(time.Millisecond)
	}
}

func checked(frame []byte) error {
	if without("scan") {
		return nil
	}
	return scan(frame)
}

// finalSource lets the kernel make JSON of results as json.dumps does without
// "plain".
func finalSource(source fs.FS) fs.FS {
	if !without("plain") {
		return source
	}
	naive := fstest.MapFS{}
	entries, err := fs.ReadDir(source, ".")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		text, err := fs.ReadFile(source, e.Name())
		if err != nil {
			panic(err)
		}
		if e.Name() == "values.py" {
			text = append(text, "\n\ndef lossless(value):\n    return True, json.loads(json.dumps(value))\n"...)
		}
		naive[e.Name()] = &fstest.MapFile{Data: text, Mode: 0o644}
	}
	return naive
}
