package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"sync"
	"time"

	"tcid/api/transport"
)

const (
	keyHeader     = "Idempotency-Key"
	maxWord       = 255
	keyRemembered = 10 * time.Minute
	// maxKeys are those of one caller; older ones are forgotten early.
	maxKeys = 20_000
)

// once keeps a request that is sent again from being carried out twice, for
// clients that mark their requests with a key.
type once struct {
	mu sync.Mutex
	of map[string]*keys // by caller
}

// keys are one caller's.
type keys struct {
	known map[string]*attempt
	order []*attempt // the oldest first
}

// attempt is the first request with a key.
type attempt struct {
	key     string
	request [sha256.Size]byte
	at      time.Time
	done    chan struct{} // closed when id or err is set
	id      string        // of what it has made
	err     error
}

func newOnce() *once { return &once{of: map[string]*keys{}} }

// do calls start and returns its answer, or, where a request of the same caller
// and with the same key did that before, that answer: replay is true then. What
// start refuses is not remembered. A start with a key goes on without its client.
func (o *once) do(r *http.Request, body []byte, start func(ctx context.Context) (id string, err error)) (id string, replay bool, err error) {
	key, err := keyOf(r)
	if err != nil {
		return "", false, err
	}
	if key == "" {
		id, err = start(r.Context())
		return id, false, err
	}
	hash := sha256.New()
	for _, part := range []string{r.Method, "\n", r.URL.Path, "\n"} {
		_, _ = hash.Write([]byte(part))
	}
	_, _ = hash.Write(body)
	a := &attempt{key: key, at: time.Now(), done: make(chan struct{})}
	hash.Sum(a.request[:0])
	caller := transport.Caller(r).ID
	if first := o.enter(caller, a); first != nil {
		return first.answer(r, a.request)
	}
	a.err = errors.New("the first request with this " + keyHeader + " had no answer") // should start panic
	defer func() {
		if a.err != nil {
			o.forget(caller, a)
		}
		close(a.done)
	}()
	a.id, a.err = start(context.WithoutCancel(r.Context()))
	return a.id, false, a.err
}

func keyOf(r *http.Request) (string, error) {
	values := r.Header.Values(keyHeader)
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	good := len(values) == 1 && key != "" && len(key) <= maxWord
	for i := range len(key) {
		good = good && key[i] > ' ' && key[i] <= '~'
	}
	if !good {
		return "", transport.BadRequest("invalid_value", keyHeader, "%s must be one word of at most %d visible ASCII characters", keyHeader, maxWord)
	}
	return key, nil
}

// answer waits for what an earlier request with the same key has started.
func (a *attempt) answer(r *http.Request, request [sha256.Size]byte) (id string, replay bool, err error) {
	if a.request != request {
		return "", false, &transport.Error{Status: http.StatusConflict, Type: transport.TypeConflict, Code: "idempotency_key_reused", Param: keyHeader,
			Message: "another request had this " + keyHeader + " within the last ten minutes; take a new one for each request that is not a retry"}
	}
	select {
	case <-a.done:
		return a.id, true, a.err
	case <-r.Context().Done():
		return "", false, context.Cause(r.Context())
	}
}

// enter remembers an attempt, unless there is one with its key: that is returned.
func (o *once) enter(caller string, a *attempt) (first *attempt) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for who, k := range o.of {
		if k.expire(a.at); len(k.order) == 0 {
			delete(o.of, who)
		}
	}
	k := o.of[caller]
	if k == nil {
		k = &keys{known: map[string]*attempt{}}
		o.of[caller] = k
	}
	if first := k.known[a.key]; first != nil {
		return first
	}
	k.known[a.key] = a
	k.order = append(k.order, a)
	return nil
}

func (k *keys) expire(now time.Time) {
	for len(k.order) > 0 && (len(k.order) > maxKeys || now.Sub(k.order[0].at) > keyRemembered) {
		k.drop(k.order[0])
		k.order[0] = nil
		k.order = k.order[1:]
	}
}

func (k *keys) drop(a *attempt) {
	if k.known[a.key] == a {
		delete(k.known, a.key)
	}
}

// forget lets the next request with the key start anew.
func (o *once) forget(caller string, a *attempt) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if k := o.of[caller]; k != nil {
		k.drop(a)
	}
}
