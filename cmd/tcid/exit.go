package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"tcid/api/client"
	v1 "tcid/api/v1"
	"tcid/rootfs"
)

// Exit codes. docs/cli.md and "tcid help exit-codes" list them.
const (
	exitOK          = 0
	exitProgram     = 1 // the program in the session failed
	exitUsage       = 2
	exitUnreachable = 3
	exitNotFound    = 4
	exitRefused     = 5
	exitCapacity    = 6
	exitInfra       = 7
	exitInterrupted = 130
	exitBrokenPipe  = 141 // as by SIGPIPE
)

const exitCodesText = `Exit codes of tcid:

    0  all went well
    1  the program in the session failed: it raised, ran out of time, …
    2  the command line or the request is wrong
    3  the daemon can't be reached; image build: no package index can
    4  a session, execution, image or file does not exist
    5  refused: API key, permission, host; an image that is in use
    6  no capacity now; try again later
    7  the daemon or its host failed, the daemon was stopped, or the host lacks what sandboxes need; nothing is said about the program
  130  interrupted

With --json, an error is an object {"error": {"message", "type", "code",
"param", "request_id"}} on stderr.
`

func newExitCodesTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "What tcid's exit codes mean", Long: exitCodesText}
}

// usageError is a mistake in the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// refusedError is something that this user may not do.
type refusedError struct{ error }

func (e refusedError) Unwrap() error { return e.error }

// toldError is an error that the command's output has told about.
type toldError struct{ error }

func (e toldError) Unwrap() error { return e.error }

// programError is an execution that did not end ok. What it showed has been
// printed; text says the rest, if there is any.
type programError struct {
	status string
	text   string
}

func (e *programError) Error() string { return e.text }

var errInterrupted = errors.New("interrupted")

// exitCode finds an error's place in the table.
func exitCode(err error) int {
	var usage usageError
	var refused refusedError
	var program *programError
	var api *client.Error
	var requirement *rootfs.RequirementError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled):
		return exitInterrupted
	case isBrokenPipe(err):
		return exitBrokenPipe
	case errors.As(err, &usage), errors.As(err, &requirement):
		return exitUsage
	case errors.As(err, &program):
		if program.status == v1.StatusInfraError {
			return exitInfra
		}
		return exitProgram
	case errors.As(err, &refused), client.IsUnreachable(err) && errors.Is(err, fs.ErrPermission):
		return exitRefused
	case client.IsUnreachable(err), errors.Is(err, rootfs.ErrNoIndex):
		return exitUnreachable
	case errors.Is(err, rootfs.ErrNotFound):
		return exitNotFound
	case errors.Is(err, rootfs.ErrInUse):
		return exitRefused
	case errors.As(err, &api):
		return apiExitCode(api)
	case isCobraUsage(err):
		return exitUsage
	}
	return exitInfra
}

func apiExitCode(e *client.Error) int {
	switch e.Status {
	case http.StatusNotFound:
		return exitNotFound
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusMisdirectedRequest:
		return exitRefused
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return exitCapacity
	case http.StatusInsufficientStorage:
		return exitUsage
	}
	if e.Status >= http.StatusInternalServerError {
		return exitInfra
	}
	return exitUsage
}

// isCobraUsage knows the errors of cobra that have no type.
func isCobraUsage(err error) bool {
	return strings.HasPrefix(err.Error(), "unknown command ") || strings.HasPrefix(err.Error(), "required flag(s)") ||
		strings.HasPrefix(err.Error(), "accepts ")
}

// isBrokenPipe tells whether nobody reads the output any more, such as where it
// goes to head. That is no fault of anybody's.
func isBrokenPipe(err error) bool {
	var output *outputError
	return errors.As(err, &output) && errors.Is(err, syscall.EPIPE)
}

// report tells the user about an error and returns the exit code.
func (a *app) report(err error) int {
	code := exitCode(err)
	var program *programError
	var told toldError
	if err == nil || errors.As(err, &told) || isBrokenPipe(err) || errors.As(err, &program) && program.text == "" {
		return code
	}
	if a.json {
		a.reportJSON(err)
		return code
	}
	for line := range strings.Lines(strings.TrimRight(err.Error(), "\n")) {
		fmt.Fprintf(a.err, "tcid: %s\n", strings.TrimRight(line, "\n"))
	}
	var api *client.Error
	var usage usageError // which says itself where to look
	switch {
	case !errors.As(err, &usage) && isCobraUsage(err):
		fmt.Fprintln(a.err, "tcid: see \"tcid help\"")
	case errors.As(err, &api) && api.Status == http.StatusUnauthorized:
		fmt.Fprintln(a.err, "tcid: a key is given by --key, --key-file or TCI_API_KEY")
	case errors.As(err, &api) && api.RetryAfter > 0:
		fmt.Fprintf(a.err, "tcid: try again in %v\n", api.RetryAfter)
	}
	return code
}

func (a *app) reportJSON(err error) {
	body := v1.ErrorBody{Error: v1.Error{Message: err.Error(), Type: "client_error"}}
	var api *client.Error
	if errors.As(err, &api) {
		body.Error.Type, body.Error.RequestID = api.Type, api.RequestID
		if api.Code != "" {
			body.Error.Code = &api.Code
		}
		if api.Param != "" {
			body.Error.Param = &api.Param
		}
	}
	_ = json.NewEncoder(a.err).Encode(body) // stderr is closed: nobody to tell
}
