package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tcid/api/client"
	"tcid/api/mcp"
	"tcid/daemon"
	"tcid/internal/version"
)

const probeTimeout = 10 * time.Second

func newMCPCommand(a *app) *cobra.Command {
	var flags sessionFlags
	var own bool
	var dataDir string
	cmd := &cobra.Command{
		Use:   "mcp",
		Short: "Serve the Model Context Protocol on standard input and output",
		Long: `Serve the Model Context Protocol to one client, on standard input and output,
until standard input ends. Agents start it and get tools that run Python and move
files; what they have made is closed at the end.

The daemon is the one that --socket, --url or the environment name, else the one
at ` + client.DefaultSocket + `. When nothing is named and no daemon runs there,
root gets one of its own, which ends with this command; --own-daemon asks for
that. The flags for sessions hold for all that the agent makes.

The daemon serves the same at /mcp over HTTP.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			spec, err := flags.spec(cmd)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			// A client that has gone is the end of the connection, not of us.
			signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
			c, end, err := a.mcpDaemon(ctx, own, dataDir)
			if err != nil {
				return err
			}
			err = mcp.Serve(ctx, c, mcp.Options{Version: version.Version, Session: spec}, a.in, a.out)
			return errors.Join(err, end())
		},
	}
	a.clientFlags(cmd)
	flags.add(cmd)
	cmd.Flags().BoolVar(&own, "own-daemon", false, "start a daemon of its own, also when one runs")
	cmd.Flags().StringVar(&dataDir, "data-dir", "", "images for a daemon of its own (default $TCID_DATA_DIR, else "+daemon.DefaultDataDir+")")
	return cmd
}

// mcpDaemon returns a client for the daemon to use, and what to call at the end.
func (a *app) mcpDaemon(ctx context.Context, own bool, dataDir string) (c *client.Client, end func() error, err error) {
	named := a.socket != "" || a.url != "" || os.Getenv("TCID_SOCKET") != "" || os.Getenv("TCID_URL") != ""
	if own && (a.socket != "" || a.url != "") {
		return nil, nil, usageError{errors.New("--own-daemon starts a daemon, and --socket and --url name one; give one of them")}
	}
	if !own {
		if c, err = a.client(); err != nil {
			return nil, nil, err
		}
		err := probe(ctx, c)
		switch {
		case err == nil:
			return c, func() error { c.Close(); return nil }, nil
		case named || !client.IsUnreachable(err) || errors.Is(err, os.ErrPermission):
			return nil, nil, err
		case os.Geteuid() != 0:
			return nil, nil, fmt.Errorf("%w; or run this as root, to have a daemon of its own", err)
		}
	}
	if os.Geteuid() != 0 {
		return nil, nil, usageError{errors.New("--own-daemon needs root, as every daemon does")}
	}
	d, err := startOwnDaemon(dataDir)
	if err != nil {
		return nil, nil, err
	}
	fmt.Fprintf(a.err, "tcid: no daemon is used; started one of its own, process %d, in %s, which ends with this command\n", d.cmd.Process.Pid, d.state)
	// The client gets its answers to the first messages at once: hosts of MCP
	// servers don't wait for the image that a first start makes.
	c = client.New(client.Options{Socket: d.socket(), Wrap: func(next http.RoundTripper) http.RoundTripper {
		return &whenReady{next, d}
	}})
	return c, d.end, nil
}

func probe(ctx context.Context, c *client.Client) error {
	ctx, cancel := context.WithTimeoutCause(ctx, probeTimeout, errors.New("the daemon does not answer"))
	defer cancel()
	_, err := c.Version(ctx) // needs a right key, unlike the daemon's health
	return err
}

// whenReady holds requests back until the daemon takes work.
type whenReady struct {
	next http.RoundTripper
	d    *ownDaemon
}

func (w *whenReady) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-w.d.ready:
	case <-w.d.exited:
		return nil, w.d.failure()
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	}
	return w.next.RoundTrip(r)
}
