// Package contract holds real traffic against api/openapi.yaml. A test lays
// RoundTripper around its client's transport; every request and answer that
// goes through it is checked.
package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	gopath "path"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"tcid/test/repo"
)

// maxBody bounds the bodies that are looked at.
const maxBody = 64 << 20

// Load reads and checks the description.
func Load() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromFile(repo.Path("api", "openapi.yaml"))
	if err != nil {
		return nil, fmt.Errorf("read the API's description: %w", err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, fmt.Errorf("check the API's description: %w", err)
	}
	return doc, nil
}

// Validator checks traffic.
type Validator struct {
	t      testing.TB
	doc    *openapi3.T
	mux    *http.ServeMux
	mu     sync.Mutex
	seen   map[string]int // calls by operation
	events map[string]int // by type
}

// New returns a validator that reports to t.
func New(t testing.TB) *Validator {
	t.Helper()
	doc, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	v := &Validator{t: t, doc: doc, mux: http.NewServeMux(), seen: map[string]int{}, events: map[string]int{}}
	for path := range doc.Paths.Map() {
		v.mux.Handle(strings.Replace(path, "{path}", "{path...}", 1), http.NotFoundHandler())
	}
	return v
}

// Seen tells how many calls of each operation were checked.
func (v *Validator) Seen() map[string]int {
	v.mu.Lock()
	defer v.mu.Unlock()
	seen := make(map[string]int, len(v.seen))
	for k, n := range v.seen {
		seen[k] = n
	}
	return seen
}

type badKey struct{}

// Bad marks the requests of a context as wrong on purpose: only their answers
// are checked.
func Bad(ctx context.Context) context.Context { return context.WithValue(ctx, badKey{}, true) }

// RoundTripper checks what goes through next.
func (v *Validator) RoundTripper(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		return v.roundTrip(next, r)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (v *Validator) roundTrip(next http.RoundTripper, r *http.Request) (*http.Response, error) {
	bad, _ := r.Context().Value(badKey{}).(bool)
	input := v.input(r)
	if input == nil {
		if !bad {
			v.t.Errorf("contract: %s %s is not in the description", r.Method, r.URL.Path)
		}
		return next.RoundTrip(r)
	}
	if !bad {
		if err := v.checkRequest(r, input); err != nil {
			v.t.Errorf("contract: request %s %s: %v", r.Method, r.URL.Path, err)
		}
	}
	resp, err := next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if err := v.checkResponse(resp, input); err != nil {
		v.t.Errorf("contract: answer %d to %s %s: %v", resp.StatusCode, r.Method, r.URL.Path, err)
	}
	v.mu.Lock()
	v.seen[input.Route.Operation.OperationID]++
	v.mu.Unlock()
	return resp, nil
}

// maxEvents is how many events of each type are checked: that takes longer than
// sending them.
const maxEvents = 20

// Event checks a line of a stream.
func (v *Validator) Event(kind string, line []byte) {
	v.mu.Lock()
	v.events[kind]++
	enough := v.events[kind] > maxEvents
	v.mu.Unlock()
	if enough {
		return
	}
	var value any
	err := json.Unmarshal(line, &value)
	if err == nil {
		err = v.doc.Components.Schemas["Event"].Value.VisitJSON(value, openapi3.EnableJSONSchema2020())
	}
	if err != nil {
		v.t.Errorf("contract: event %.200s: %v", line, err)
	}
}

// input finds the operation of a request; nil when there is none.
func (v *Validator) input(r *http.Request) *openapi3filter.RequestValidationInput {
	probe := r.Clone(r.Context())
	probe.Host, probe.RequestURI = "", ""
	_, pattern := v.mux.Handler(probe)
	// A path that is not in its shortest form gets a redirect's pattern.
	if pattern == "" || strings.TrimSuffix(gopath.Clean(r.URL.EscapedPath()), "/") != strings.TrimSuffix(r.URL.EscapedPath(), "/") {
		return nil
	}
	path := strings.Replace(pattern, "{path...}", "{path}", 1)
	item := v.doc.Paths.Value(path)
	if item == nil || item.GetOperation(r.Method) == nil {
		return nil
	}
	return &openapi3filter.RequestValidationInput{
		Request:    r,
		PathParams: pathParams(path, r.URL.Path),
		Route: &routers.Route{
			Spec: v.doc, Server: v.doc.Servers[0], Path: path, PathItem: item, Method: r.Method, Operation: item.GetOperation(r.Method),
		},
		Options: &openapi3filter.Options{
			AuthenticationFunc:    openapi3filter.NoopAuthenticationFunc,
			IncludeResponseStatus: true,
			SkipSettingDefaults:   true, // what goes out is what the test wrote
			// Labels are any parameters that begin with "metadata."; the
			// validator does not know that form.
			ExcludeRequestQueryParams: strings.Contains(r.URL.RawQuery, "metadata."),
		},
	}
}

func pathParams(template, path string) map[string]string {
	params := map[string]string{}
	have := strings.Split(path, "/")
	for i, part := range strings.Split(template, "/") {
		switch {
		case i >= len(have):
		case part == "{path}":
			params["path"] = strings.Join(have[i:], "/")
		case strings.HasPrefix(part, "{"):
			params[strings.Trim(part, "{}")] = have[i]
		}
	}
	return params
}

func (v *Validator) checkRequest(r *http.Request, input *openapi3filter.RequestValidationInput) error {
	if r.Header.Get("Content-Type") != "application/json" {
		input.Options.ExcludeRequestBody = true // a file of any size
		return openapi3filter.ValidateRequest(r.Context(), input)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return err
	}
	_ = r.Body.Close()
	r.Body = io.NopCloser(bytes.NewReader(body))
	err = openapi3filter.ValidateRequest(r.Context(), input)
	r.Body = io.NopCloser(bytes.NewReader(body))
	return err
}

func (v *Validator) checkResponse(resp *http.Response, input *openapi3filter.RequestValidationInput) error {
	if resp.Header.Get("X-Request-Id") == "" {
		return fmt.Errorf("there is no X-Request-Id")
	}
	check := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: resp.StatusCode, Header: resp.Header, Options: input.Options,
	}
	if resp.Header.Get("Content-Type") != "application/json" || resp.Request.Method == http.MethodHead {
		if resp.StatusCode >= http.StatusBadRequest && resp.Request.Method != http.MethodHead && resp.StatusCode != http.StatusRequestedRangeNotSatisfiable {
			return fmt.Errorf("an error is told as %q, not as JSON", resp.Header.Get("Content-Type"))
		}
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	check.Body = io.NopCloser(bytes.NewReader(body))
	return openapi3filter.ValidateResponse(resp.Request.Context(), check)
}
