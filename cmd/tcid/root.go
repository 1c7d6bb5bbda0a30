package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tcid/api/client"
	"tcid/internal/version"
)

// app is what commands share: where to talk to, and which daemon to ask.
type app struct {
	in       io.Reader
	out, err io.Writer
	json     bool

	interrupts *interrupts

	socket, url, key, keyFile string
}

// run executes one command line and returns its exit code.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	// serve handles its signals itself; elsewhere Ctrl-C ends the request, or
	// interrupts what it runs.
	ctx, interrupts, stop := watchInterrupts(context.Background())
	defer stop()
	a := &app{in: in, out: out, err: errOut, interrupts: interrupts}
	root := newRootCommand(a)
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if ctx.Err() != nil && err != nil {
		err = errInterrupted
	}
	return a.report(err)
}

func newRootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "tcid",
		Short:         "Run untrusted Python in isolated, stateful sessions",
		Version:       version.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArguments,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON: the API's objects, and errors as {\"error\": …} on stderr")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		newServeCommand(), newRunCommand(a), newReplCommand(a), newSessionCommand(a), newExecutionCommand(a), newImageCommand(a),
		newMCPCommand(a), newDoctorCommand(a), newVersionCommand(a), newExitCodesTopic(),
	)
	// Never a command "init": that argument means libcontainer's child.
	return root
}

// clientFlags adds the flags that say where the daemon is.
func (a *app) clientFlags(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringVar(&a.socket, "socket", "", "the daemon's Unix socket (default $TCID_SOCKET, else "+client.DefaultSocket+")")
	f.StringVar(&a.url, "url", "", "the daemon's address for TCP, such as http://127.0.0.1:8787 (default $TCID_URL)")
	f.StringVar(&a.key, "key", "", "API key for TCP (default $TCI_API_KEY)")
	f.StringVar(&a.keyFile, "key-file", "", "file that holds the API key")
}

// client returns a client for the daemon that flags and environment name.
func (a *app) client() (*client.Client, error) {
	if a.socket != "" && a.url != "" {
		return nil, usageError{errors.New("--socket and --url name two daemons; give one")}
	}
	if a.key != "" && a.keyFile != "" {
		return nil, usageError{errors.New("--key and --key-file name two keys; give one")}
	}
	o := client.Options{Socket: a.socket, URL: a.url, Key: a.key, OnRetry: a.waits}
	if o.Socket == "" && o.URL == "" {
		o.Socket, o.URL = os.Getenv("TCID_SOCKET"), os.Getenv("TCID_URL")
		if o.Socket != "" {
			o.URL = ""
		}
	}
	if a.keyFile != "" {
		key, err := readKeyFile(a.keyFile)
		if err != nil {
			return nil, usageError{err}
		}
		o.Key = key
	}
	if o.Key == "" {
		o.Key = os.Getenv("TCI_API_KEY")
	}
	if err := o.Validate(); err != nil {
		return nil, usageError{err}
	}
	return client.New(o), nil
}

// longPause is one that the user is told of.
const longPause = time.Second

// waits tells the user why nothing happens.
func (a *app) waits(err error, pause time.Duration) {
	if !a.json && pause >= longPause {
		fmt.Fprintf(a.err, "tcid: %s; trying again in %v\n", strings.TrimRight(err.Error(), "\n"), pause)
	}
}
