package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// freeBody is how much of a body costs nothing: that many requests there can
	// be, at most.
	freeBody = 64 << 10
	// bodyStep is how much is taken from the budget at a time, as a body comes.
	bodyStep = 256 << 10
	// bodyCost is how many bytes one of a body takes at most: the pieces that came,
	// the whole, the text in it, its content, and what is not collected yet.
	bodyCost = 5
	// maxValues bounds the values of a body: thousands of empty objects are small,
	// but each becomes a Go value. What those over freeValues may become is taken
	// from the budget.
	maxValues  = 100_000
	freeValues = 1000
	valueCost  = 512
	// budgetRetry is when to come back after a refusal.
	budgetRetry = 2 * time.Second
)

// Budget bounds the memory that the bodies of all requests take together. What a
// request has taken it holds until it is answered, which may be long. A caller's
// requests can have as much as is left besides, and no more: one alone has half,
// and whoever comes then still finds some.
type Budget struct {
	mu    sync.Mutex
	bytes int64
	left  int64
	of    map[string]int64 // by caller; those who have something
}

// NewBudget returns a budget of so many bytes.
func NewBudget(bytes int64) *Budget {
	return &Budget{bytes: bytes, left: bytes, of: map[string]int64{}}
}

// hold is what one request has taken.
type hold struct {
	budget *Budget
	caller string
	taken  int64
}

type holdKey struct{}

// Hold lets a request take from the budget. Call release when it is answered.
func (b *Budget) Hold(r *http.Request) (held *http.Request, release func()) {
	h := &hold{budget: b, caller: Caller(r).ID}
	return r.WithContext(context.WithValue(r.Context(), holdKey{}, h)), h.release
}

func (h *hold) release() {
	b := h.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += h.taken
	if b.of[h.caller] -= h.taken; b.of[h.caller] == 0 {
		delete(b.of, h.caller)
	}
}

// KeepBody lets a request's part of the budget be held until done is closed,
// where what it brought is used for longer than the request takes.
func KeepBody(r *http.Request, done <-chan struct{}) {
	h := holdOf(r)
	if h == nil || h.taken == 0 {
		return
	}
	kept := &hold{budget: h.budget, caller: h.caller, taken: h.taken}
	h.taken = 0
	go func() {
		<-done
		kept.release()
	}()
}

// holdOf is the request's, or nil.
func holdOf(r *http.Request) *hold {
	h, _ := r.Context().Value(holdKey{}).(*hold)
	return h
}

// take is called by the request's own goroutine only.
func (h *hold) take(n int64) error {
	if h == nil { // a request without a budget, in tests
		return nil
	}
	b := h.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of[h.caller]+n > b.left-n {
		return &Error{Status: http.StatusTooManyRequests, Type: TypeRateLimit, Code: "capacity", RetryAfter: budgetRetry,
			Message: fmt.Sprintf("your requests with large bodies have their part of the %d MiB that the daemon has for all; "+
				"try again when some have been answered, and upload large files by themselves", b.bytes>>20)}
	}
	b.left -= n
	b.of[h.caller] += n
	h.taken += n
	return nil
}

// readBounded reads a body, and takes from the budget as it comes: a length that
// is only announced costs nothing.
func readBounded(r *http.Request, body io.Reader) ([]byte, error) {
	h := holdOf(r)
	var pieces [][]byte
	for size := freeBody; ; size = bodyStep {
		if size == bodyStep {
			if err := h.take(bodyStep * bodyCost); err != nil {
				return nil, err
			}
		}
		piece, err := fill(body, size)
		pieces = append(pieces, piece)
		switch {
		case errors.Is(err, io.EOF) && len(pieces) == 1:
			return piece, nil
		case errors.Is(err, io.EOF):
			return bytes.Join(pieces, nil), nil
		case err != nil:
			return nil, err
		}
	}
}

// fill reads so many bytes, or up to the end, which is io.EOF then: unlike
// io.ReadFull it leaves a body that is cut off to be told from one that ends.
func fill(body io.Reader, size int) ([]byte, error) {
	piece := make([]byte, 0, size)
	for len(piece) < size {
		n, err := body.Read(piece[len(piece):size])
		piece = piece[:len(piece)+n]
		if err != nil {
			return piece, err
		}
	}
	return piece, nil
}

// takeValues takes what the values of a body may become.
func takeValues(r *http.Request, body []byte) error {
	n := countValues(body)
	if n > maxValues {
		return BadRequest("invalid_json", "", "the body has more than %d values", maxValues)
	}
	if n <= freeValues {
		return nil
	}
	return holdOf(r).take(int64(n) * valueCost)
}

// countValues counts the commas and openings outside of strings: as many values
// a JSON text has at most, but for one.
func countValues(body []byte) (n int) {
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case ',', '{', '[':
			n++
		case '"':
			for i++; i < len(body) && body[i] != '"'; i++ {
				if body[i] == '\\' {
					i++
				}
			}
		}
	}
	return n
}
