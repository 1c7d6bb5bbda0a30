package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tcid/api/client"
	v1 "tcid/api/v1"
)

// repl is a conversation with a session.
type repl struct {
	a       *app
	c       *client.Client
	session string
	timeout *float64
	saver   *saver
	next    int64 // number of the next execution
}

const closeTimeout = 30 * time.Second

func newReplCommand(a *app) *cobra.Command {
	var session sessionFlags
	var id, outputDir string
	var timeout float64
	cmd := &cobra.Command{
		Use:   "repl",
		Short: "Type code into a session and see what it does",
		Long: `Type code into a session and see what it does, as in a notebook. A cell runs when
it is complete; one with indented lines, when an empty line follows. Tab completes
names, the arrows look back, Ctrl-C interrupts what runs or drops the cell, and
Ctrl-D leaves. Without --session there is a session as long as tcid runs.

Where standard input is no terminal it is a script: lines that begin with "# %%"
part it into cells, which run one after the other, up to the first that fails.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r := &repl{a: a, session: id}
			if cmd.Flags().Changed("timeout") {
				r.timeout = &timeout
			}
			spec, err := session.spec(cmd)
			switch {
			case err != nil:
				return err
			case a.json:
				return usageError{errors.New("repl has no --json; use \"tcid session exec --json\"")}
			case id != "" && session.given(cmd):
				return usageError{errors.New("--session names a session that is there already; the flags that say how to make one don't go with it")}
			}
			if r.saver, err = newSaver(outputDir); err != nil {
				return err
			}
			if r.c, err = a.client(); err != nil {
				return err
			}
			return r.run(cmd.Context(), spec)
		},
	}
	a.clientFlags(cmd)
	session.add(cmd)
	f := cmd.Flags()
	f.StringVar(&id, "session", "", "id of the session (default: one of its own, which is closed at the end)")
	f.Float64Var(&timeout, "timeout", 0, "time limit of a cell in seconds (default 60)")
	f.StringVar(&outputDir, "output-dir", "", "directory for pictures and other rich output, made when missing")
	return cmd
}

// run finds or makes the session, and talks to it until the user leaves. A
// terminal or a reader of the output that goes away is such an end too, so that
// the session is closed.
func (r *repl) run(ctx context.Context, spec v1.SessionSpec) (err error) {
	signal.Ignore(syscall.SIGPIPE)
	defer signal.Reset(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	s, err := r.find(ctx, spec)
	if err != nil {
		return err
	}
	if r.session == "" {
		r.session = s.ID
		defer func() { err = errors.Join(err, r.close(ctx)) }()
	}
	r.next = s.ExecuteCount + 1
	if in, ok := r.a.in.(*os.File); ok && isTerminal(in) {
		return r.talk(ctx, in)
	}
	return r.script(ctx)
}

func (r *repl) find(ctx context.Context, spec v1.SessionSpec) (v1.Session, error) {
	if r.session != "" {
		return r.c.GetSession(ctx, r.session)
	}
	return r.c.CreateSession(ctx, spec)
}

func (r *repl) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := r.c.CloseSession(ctx, r.session); err != nil && !client.IsNotFound(err) {
		return fmt.Errorf("close session %s: %w", r.session, err)
	}
	return nil
}

// talk reads cells from a terminal. What goes wrong in one of them is told, and
// the next one read.
func (r *repl) talk(ctx context.Context, in *os.File) error {
	screen := r.a.out
	if newScreen(screen) == nil {
		screen = r.a.err // the output goes elsewhere
	}
	e, err := newEditor(ctx, in, screen, r)
	if err != nil {
		return err
	}
	defer e.close()
	fmt.Fprintf(r.a.err, "tcid: this is session %s; Ctrl-D leaves\n", r.session)
	for {
		code, err := r.cell(ctx, e)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch strings.TrimSpace(code) {
		case "":
			continue
		case "exit", "quit", "exit()", "quit()":
			return nil
		}
		err = r.execute(ctx, code, func() string { return fmt.Sprintf("Out[%d]: ", r.next) })
		var output *outputError
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &output), client.IsNotFound(err):
			return err
		case err != nil && !errors.Is(err, errInterrupted):
			r.a.report(err)
		}
	}
}

// cell reads lines until they are a cell. A Ctrl-C begins anew.
func (r *repl) cell(ctx context.Context, e *editor) (string, error) {
	end, err := e.begin()
	if err != nil {
		return "", err
	}
	defer end()
	var lines []string
	indent := ""
	for {
		prompt := fmt.Sprintf("In [%d]: ", r.next)
		if len(lines) > 0 {
			prompt = fmt.Sprintf("%*s", len(prompt), "...: ")
		}
		line, err := e.read(ctx, prompt, indent, lines)
		indent = ""
		switch {
		case errors.Is(err, errLineDropped):
			lines = nil
			continue
		case err != nil && !errors.Is(err, errPasted):
			return "", err
		}
		if strings.TrimSpace(line) == "" {
			if line = ""; len(lines) == 0 {
				continue
			}
		}
		lines = append(lines, line)
		if errors.Is(err, errPasted) {
			continue // more is coming, and it is indented already
		}
		code := strings.Join(lines, "\n")
		if done, next := r.complete(ctx, code, len(lines) == 1 || line == ""); done {
			return code, nil
		} else if next != "" {
			indent = next
		}
	}
}

// askTimeout bounds questions that are asked while somebody types.
const askTimeout = 3 * time.Second

// complete tells whether code is a cell, and with what the next line should
// begin. Where the session doesn't say, atEnd decides.
func (r *repl) complete(ctx context.Context, code string, atEnd bool) (bool, string) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answer, err := r.c.IsComplete(ctx, r.session, code)
	if err != nil {
		return atEnd, ""
	}
	// The session may say what it likes.
	const longest = 80
	if strings.Trim(answer.Indent, " \t") != "" || len(answer.Indent) > longest {
		answer.Indent = ""
	}
	return answer.Status != v1.CodeIncomplete, answer.Indent
}

// execute runs a cell and shows what it does.
func (r *repl) execute(ctx context.Context, code string, label func() string) error {
	e, err := r.a.follow(ctx, watch{
		begin: func(ctx context.Context, o ...client.StreamOption) (*client.Stream, error) {
			return r.c.Stream(ctx, r.session, v1.ExecSpec{Code: code, Timeout: r.timeout}, o...)
		},
		interrupt: interruptIn(r.c, r.session),
		saver:     r.saver,
		label:     label,
	})
	if e != nil {
		r.next = e.Index + 1
	}
	return err
}
