package mcp

import (
	"context"
	"fmt"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	v1 "tcid/api/v1"
)

type resetArguments struct {
	Session   string `json:"session"`
	KeepFiles *bool  `json:"keep_files"`
}

type resetResult struct {
	Session   string `json:"session"`
	FilesKept bool   `json:"files_kept"`
}

// reset waits for no run: it is there to end one as well.
func (c *Connection) reset(ctx context.Context, _ *sdk.CallToolRequest, a resetArguments) (*sdk.CallToolResult, error) {
	one, id, release, err := c.existing(a.Session)
	if err != nil {
		return nil, err
	}
	defer release()
	if a.KeepFiles != nil && !*a.KeepFiles {
		if err := c.sessions.remove(ctx, one); err != nil {
			return nil, fmt.Errorf("remove the session: %w", err)
		}
		return &sdk.CallToolResult{
			Content:           []sdk.Content{textContent(fmt.Sprintf("Session %q is removed with its files. The next use makes an empty one.", one.name))},
			StructuredContent: resetResult{one.name, false},
		}, nil
	}
	if _, err := c.sessions.daemon.Restart(ctx, id); err != nil {
		if gone(err) {
			return nil, one.lose(id, err)
		}
		return nil, fmt.Errorf("restart Python: %w", err)
	}
	return &sdk.CallToolResult{
		Content:           []sdk.Content{textContent(fmt.Sprintf("Session %q has a new Python: variables and imports are gone, files are kept.", one.name))},
		StructuredContent: resetResult{one.name, true},
	}, nil
}

type interruptArguments struct {
	Session string `json:"session"`
}

type interruptResult struct {
	Session    string `json:"session"`
	WasRunning bool   `json:"was_running"`
}

func (c *Connection) interrupt(ctx context.Context, _ *sdk.CallToolRequest, a interruptArguments) (*sdk.CallToolResult, error) {
	one, id, release, err := c.existing(a.Session)
	if err != nil {
		return nil, err
	}
	defer release()
	before, err := c.sessions.daemon.GetSession(ctx, id)
	if err == nil && before.State == v1.StateBusy {
		_, err = c.sessions.daemon.Interrupt(ctx, id)
	}
	if err != nil {
		if gone(err) {
			return nil, one.lose(id, err)
		}
		return nil, fmt.Errorf("interrupt the session: %w", err)
	}
	text := fmt.Sprintf("Nothing runs in session %q.", one.name)
	busy := before.State == v1.StateBusy
	if busy {
		text = fmt.Sprintf("The code in session %q is interrupted; the call that runs it returns.", one.name)
	}
	return &sdk.CallToolResult{Content: []sdk.Content{textContent(text)}, StructuredContent: interruptResult{one.name, busy}}, nil
}

type listedSession struct {
	Session  string `json:"session"`
	State    string `json:"state"`
	Runs     int    `json:"runs"`
	Age      int    `json:"age_seconds"`
	MemoryMB int64  `json:"memory_mb"`
}

type sessionsResult struct {
	Sessions []listedSession `json:"sessions"`
}

func (c *Connection) listSessions(ctx context.Context, _ *sdk.CallToolRequest, _ struct{}) (*sdk.CallToolResult, error) {
	out := sessionsResult{Sessions: []listedSession{}}
	for _, one := range c.sessions.all() {
		one.mu.Lock()
		id, runs, created := one.id, one.runs, one.created
		one.mu.Unlock()
		if id == "" {
			continue
		}
		listed := listedSession{Session: one.name, Runs: runs, Age: int(time.Since(created).Seconds())}
		s, err := c.sessions.daemon.GetSession(ctx, id)
		switch {
		case gone(err):
			listed.State = "ended"
		case err != nil:
			return nil, fmt.Errorf("ask for session %q: %w", one.name, err)
		default:
			listed.State, listed.MemoryMB = s.State, s.Resources.MemoryMB
		}
		out.Sessions = append(out.Sessions, listed)
	}
	text := lines(len(out.Sessions), func(i int) string {
		s := out.Sessions[i]
		return fmt.Sprintf("%s: %s, %s, %d s old, %d MiB of memory at most", s.Session, s.State, plural(s.Runs, "run"), s.Age, s.MemoryMB)
	})
	if text == "" {
		text = "There are no sessions yet: run_python makes one on first use.\n"
	}
	return &sdk.CallToolResult{Content: []sdk.Content{textContent(text)}, StructuredContent: out}, nil
}
