package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

const (
	progressEvery = time.Second
	progressText  = 1000 // bytes of the end of the output
)

// progress tells a client that asked for it how a call goes on.
type progress struct {
	token  json.RawMessage
	notify notifier
}

// watch tells about once a second how long a run has taken, and what it has
// shown last, until ctx ends.
func (p progress) watch(ctx context.Context, total float64, shown func() string) {
	if p.notify == nil || !isToken(p.token) {
		return
	}
	begun := time.Now()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		took := time.Since(begun)
		text := shown()
		if text == "" {
			text = fmt.Sprintf("running for %.0f s", took.Seconds())
		}
		p.notify(notification{JSONRPC: "2.0", Method: "notifications/progress", Params: map[string]any{
			"progressToken": p.token, "progress": took.Seconds(), "total": total, "message": text}})
	}
}

func isToken(token json.RawMessage) bool { return len(token) > 0 && isID(token) }
