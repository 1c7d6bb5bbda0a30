package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A request that panics leaves no retry waiting for its answer.
func TestKeyOfARequestThatPanicked(t *testing.T) {
	o := newOnce()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/executions", nil)
	r.Header.Set(keyHeader, "k")
	func() {
		defer func() { _ = recover() }()
		_, _, _ = o.do(r, nil, func(context.Context) (string, error) { panic("broken") })
	}()
	id, replay, err := o.do(r, nil, func(context.Context) (string, error) { return "two", nil })
	if id != "two" || replay || err != nil {
		t.Errorf("%q, replay %v, %v", id, replay, err)
	}
}
