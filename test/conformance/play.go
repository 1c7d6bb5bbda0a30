// Package conformance plays cases.json through the Go client. README.md beside it
// says what the file means.
package conformance

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tcid/api/client"
	v1 "tcid/api/v1"
)

const (
	fileVersion = 1
	caseTimeout = 2 * time.Minute
)

// Case is one case of the file.
type Case struct {
	Name  string                       `json:"name"`
	About string                       `json:"about"`
	Steps []map[string]json.RawMessage `json:"steps"`
}

// Load reads a file of cases.
func Load(name string) ([]Case, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the cases: %w", err)
	}
	var file struct {
		Version int    `json:"version"`
		Cases   []Case `json:"cases"`
	}
	if err := strictly(text, &file); err != nil {
		return nil, fmt.Errorf("read the cases: %w", err)
	}
	if file.Version != fileVersion {
		return nil, fmt.Errorf("%s has version %d; this runner knows %d", name, file.Version, fileVersion)
	}
	return file.Cases, nil
}

// PlayAll plays cases, writes a line for each and then how many passed and failed,
// and returns how many failed.
func PlayAll(ctx context.Context, c *client.Client, cases []Case, out io.Writer) (failed int) {
	for _, one := range cases {
		if err := Play(ctx, c, one); err != nil {
			failed++
			fmt.Fprintf(out, "FAIL %s: %v\n", one.Name, err)
			continue
		}
		fmt.Fprintf(out, "ok   %s\n", one.Name)
	}
	fmt.Fprintf(out, "%d passed, %d failed\n", len(cases)-failed, failed)
	return failed
}

// Play plays a case and closes the sessions that it has made. An error says what
// went wrong.
func Play(ctx context.Context, c *client.Client, one Case) (err error) {
	ctx, cancel := context.WithTimeout(ctx, caseTimeout)
	defer cancel()
	p := &player{c: c, sessions: map[string]string{}, ran: map[string]string{}, keys: map[string]string{}}
	defer func() {
		for _, id := range p.made {
			if failed := c.CloseSession(context.WithoutCancel(ctx), id); failed != nil {
				err = errors.Join(err, fmt.Errorf("close the case's session: %w", failed))
			}
		}
	}()
	for i, s := range one.Steps {
		step := &step{left: maps.Clone(s)}
		if err := p.play(ctx, step); err != nil {
			return fmt.Errorf("step %d (%s): %w", i, step.op, err)
		}
	}
	return nil
}

// player plays the steps of one case.
type player struct {
	c        *client.Client
	sessions map[string]string // ids by the case's names
	ran      map[string]string // executions, likewise
	keys     map[string]string // keys, by the case's names of them
	made     []string
}

// step is a step whose arguments are taken out one by one.
type step struct {
	op   string
	left map[string]json.RawMessage
	bad  error // the first argument that made no sense
}

// take decodes an argument, if it is there, and tells whether it is.
func (s *step) take(name string, into any) bool {
	raw, ok := s.left[name]
	delete(s.left, name)
	if !ok {
		return false
	}
	if err := strictly(raw, into); err != nil && s.bad == nil {
		s.bad = &argumentError{name, err}
	}
	return true
}

func (s *step) text(name string) (text string) {
	s.take(name, &text)
	return text
}

// argumentError is an argument that the client has no place for. In a program
// the compiler says so.
type argumentError struct {
	name string
	err  error
}

func (e *argumentError) Error() string { return fmt.Sprintf("%s: %v", e.name, e.err) }

// field is the field that does not exist; "" when something else is wrong.
func (e *argumentError) field() string {
	_, name, ok := strings.Cut(e.err.Error(), "unknown field ")
	if !ok {
		return ""
	}
	return strings.Trim(name, `"`)
}

func (p *player) play(ctx context.Context, s *step) error {
	s.op = s.text("op")
	var expect any
	var refusal *refusal
	wanted := s.take("expect", &expect)
	s.take("expect_error", &refusal)
	if s.bad != nil {
		return s.bad
	}
	operation := operations[s.op]
	if operation == nil {
		return errors.New("this runner does not know the operation")
	}
	answer, err := operation(p, ctx, s)
	switch {
	case err != nil && refusal != nil:
		return refusal.check(err)
	case err != nil:
		return err
	case len(s.left) > 0:
		return fmt.Errorf("this runner does not know the keys %q", slices.Sorted(maps.Keys(s.left)))
	case refusal != nil:
		return fmt.Errorf("wanted the error %+v, got %.500s", *refusal, fmt.Sprintf("%+v", answer))
	case !wanted:
		return nil
	}
	plain, err := asJSON(answer)
	if err != nil {
		return err
	}
	return fit(expect, plain, "the answer")
}

// session is the id of the session that a step is about.
func (p *player) session(s *step) string {
	if id := s.text("session_id"); id != "" {
		return id
	}
	return p.sessions[p.name(s)]
}

func (*player) name(s *step) string {
	if name := s.text("session"); name != "" {
		return name
	}
	return "s"
}

func (p *player) create(ctx context.Context, s *step) (any, error) {
	name := p.name(s)
	var spec v1.SessionSpec
	s.take("options", &spec)
	s.take("language", &spec.Language)
	ctx = p.keyed(ctx, s)
	if s.bad != nil {
		return nil, s.bad
	}
	made, err := p.c.CreateSession(ctx, spec)
	if err == nil {
		p.sessions[name] = made.ID
		p.made = append(p.made, made.ID)
	}
	return made, err
}

func (p *player) upload(ctx context.Context, s *step) (any, error) {
	content := []byte(s.text("content"))
	s.take("content_base64", &content) // as encoding/json does with bytes
	if s.bad != nil {
		return nil, s.bad
	}
	_, err := p.c.Upload(ctx, p.session(s), s.text("path"), bytes.NewReader(content), client.UploadOptions{})
	return true, err
}

func (p *player) download(ctx context.Context, s *step) (any, error) {
	name := s.text("path")
	file, err := p.c.Download(ctx, p.session(s), name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(file)
	answer := map[string]any{"name": name, "content": nil, "content_base64": base64.StdEncoding.EncodeToString(content)}
	if utf8.Valid(content) {
		answer["content"] = string(content)
	}
	return answer, err
}

// asJSON is a value as encoding/json would decode it.
func asJSON(value any) (plain any, err error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode the answer: %w", err)
	}
	if err := json.Unmarshal(text, &plain); err != nil {
		return nil, fmt.Errorf("decode the answer: %w", err)
	}
	return plain, nil
}

func strictly(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
