package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"tcid/api/client"
	v1 "tcid/api/v1"
	"tcid/rootfs"
)

// How an execution ended decides between 0, 1 and 7.
func TestExitCodesOfPrograms(t *testing.T) {
	for status, want := range map[string]int{
		v1.StatusOK: 0, v1.StatusError: 1, v1.StatusTimeout: 1, v1.StatusInterrupted: 1, v1.StatusCancelled: 1,
		v1.StatusMemoryLimit: 1, v1.StatusCrashed: 1, v1.StatusExpired: 1, v1.StatusInfraError: 7,
	} {
		t.Run(status, func(t *testing.T) {
			a := streamed(execution(status))
			const inSession = "POST /v1/sessions/" + testSession + "/executions"
			startFake(t, map[string]answer{once: a, onceJSON: a, inSession: a, inSession + "?compact=true": a})
			for _, args := range [][]string{{"run", "--code", "1"}, {"session", "exec", testSession, "--code", "1"}} {
				if _, errs, code := tcid("", args...); code != want {
					t.Errorf("%q: code %d, want %d; stderr %q", args, code, want, errs)
				}
				if _, errs, code := tcid("", append(args, "--json")...); code != want || errs != "" {
					t.Errorf("%q --json: code %d, want %d; stderr %q", args, code, want, errs)
				}
			}
		})
	}
}

// What the daemon refuses decides the rest.
func TestExitCodesOfAnswers(t *testing.T) {
	for status, want := range map[int]int{
		400: 2, 405: 2, 409: 2, 413: 2, 415: 2, 307: 2, 401: 5, 403: 5, 421: 5, 404: 4, 429: 6, 503: 6, 500: 7, 502: 7,
	} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			startFake(t, map[string]answer{"GET /v1/sessions/" + testSession: refusal(status, "some_code", "because")})
			told := "tcid: because\n"
			if status == http.StatusUnauthorized {
				told += "tcid: a key is given by --key, --key-file or TCI_API_KEY\n"
			}
			check(t, "", told, want)(tcid("", "session", "info", testSession))
			_, errs, code := tcid("", "--json", "session", "info", testSession)
			var got v1.ErrorBody
			if err := json.Unmarshal([]byte(errs), &got); err != nil {
				t.Fatalf("%q: %v", errs, err)
			}
			some := "some_code"
			if diff := cmp.Diff(v1.ErrorBody{Error: v1.Error{Message: "because", Type: "some_error", Code: &some, RequestID: "req_1"}}, got); diff != "" || code != want {
				t.Errorf("code %d, want %d; (-want +got):\n%s", code, want, diff)
			}
		})
	}
}

func TestExitCodesOfErrors(t *testing.T) {
	clearEnv(t)
	for want, errs := range map[int][]error{
		0:   {nil},
		2:   {usageError{errors.New("x")}, fmt.Errorf("wrapped: %w", usageError{errors.New("x")}), &rootfs.RequirementError{Where: "x", Reason: "y"}},
		3:   {fmt.Errorf("x: %w", rootfs.ErrNoIndex)},
		4:   {fmt.Errorf("x: %w", rootfs.ErrNotFound)},
		5:   {fmt.Errorf("x: %w", rootfs.ErrInUse), refusedError{errors.New("x")}},
		7:   {errors.New("x"), syscall.EPIPE, &outputError{syscall.ENOSPC}, fmt.Errorf("x: %w", rootfs.ErrDamaged)},
		130: {errInterrupted},
		141: {&outputError{syscall.EPIPE}},
	} {
		for _, err := range errs {
			if got := exitCode(err); got != want {
				t.Errorf("%v (%T): %d, want %d", err, err, got, want)
			}
		}
	}
}

// Mistakes on the command line, found before any daemon is asked.
func TestUsage(t *testing.T) {
	d := startFake(t, nil)
	dir := t.TempDir()
	binary := filepath.Join(dir, "binary")
	if err := os.WriteFile(binary, []byte("\xff\xfe"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte("# no key\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"nope"}, "nope"},
		{[]string{"sesion", "ls"}, "did you mean session"},
		{[]string{"serve", "now"}, `unknown argument "now"`},
		{[]string{"run", "--code", "1", "--detach=soon"}, "true or false"},
		{[]string{"run", "--code", "1", "--pids", "1.5"}, "a whole number"},
		{[]string{"init"}, "unknown command"},
		{[]string{"run"}, "name the program"},
		{[]string{"run", "a", "b"}, "want one program"},
		{[]string{"run", "a", "--code", "1"}, "two programs"},
		{[]string{"run", "/nonexistent/a.py"}, "/nonexistent/a.py"},
		{[]string{"run", dir}, "read " + dir + ": is a directory"},
		{[]string{"run", binary}, "not UTF-8"},
		{[]string{"run", "-", "--stdin", "-"}, "can't be the program and its input"},
		{[]string{"run", "--code", "1", "--nope"}, `see "tcid run --help"`},
		{[]string{"run", "--code", "1", "--timeout", "soon"}, `"soon" for --timeout: want a number`},
		{[]string{"run", "--code", "1", "--env", "X"}, "NAME=VALUE"},
		{[]string{"run", "--code", "1", "--env", "=X"}, "NAME=VALUE"},
		{[]string{"run", "--code", "1", "--file", "/nonexistent"}, "/nonexistent"},
		{[]string{"run", "--code", "1", "--stdin", "/dev/zero"}, "64 MiB"},
		{[]string{"run", "--code", "1", "--socket", "/a", "--url", "http://b"}, "two daemons"},
		{[]string{"run", "--code", "1", "--key", "a", "--key-file", "b"}, "two keys"},
		{[]string{"run", "--code", "1", "--url", "127.0.0.1:8787"}, "http://127.0.0.1:8787"},
		{[]string{"run", "--code", "1", "--key-file", "/nonexistent"}, "/nonexistent"},
		{[]string{"run", "--code", "1", "--key-file", empty}, "no key"},
		{[]string{"run", "--code", "1", "--detach", "--output-dir", dir}, "execution events"},
		{[]string{"run", "--code", "1", "--output-dir", binary}, "--output-dir"},
		{[]string{"repl", "x"}, `"x"`},
		{[]string{"repl", "--session", "a", "--env", "A=b"}, "--session"},
		{[]string{"repl", "--session", testSession, "--image", "i"}, "--session"},
		{[]string{"execution", "nope"}, "nope"},
		{[]string{"execution", "show"}, "execution's id"},
		{[]string{"execution", "cancel", "a", "b"}, "execution's id"},
		{[]string{"execution", "events", "a", "--after", "-1"}, "--after -1"},
		{[]string{"session", "executions"}, "session's id"},
		{[]string{"session", "nope"}, "nope"},
		{[]string{"session", "lst"}, "did you mean ls"},
		{[]string{"session", "exec"}, "want a session's id"},
		{[]string{"session", "exec", testSession}, "name the program"},
		{[]string{"session", "create", "--metadata", "k"}, "--metadata k"},
		{[]string{"session", "rm"}, "--metadata"},
		{[]string{"session", "rm", testSession, "--metadata", "a=b"}, "--metadata"},
		{[]string{"session", "info"}, "session's id"},
		{[]string{"session", "files"}, "between 1 and 2"},
		{[]string{"session", "cp", "a"}, "ID:PATH"},
		{[]string{"session", "cp", "a", "b"}, "ID:PATH"},
		{[]string{"session", "cp", testSession + ":a", testSession + ":b"}, "ID:PATH"},
		{[]string{"session", "cp", testSession + ":", dir}, "ID:PATH"},
		{[]string{"session", "cp", dir, testSession + ":b"}, "is a directory"},
		{[]string{"session", "cp", "/nonexistent", testSession + ":b"}, "/nonexistent"},
		{[]string{"image", "rm"}, "image's name"},
		{[]string{"image", "ls", "x"}, `"x"`},
		{[]string{"version", "x"}, `"x"`},
	} {
		out, errs, code := tcid("", c.args...)
		if code != exitUsage || out != "" || !strings.Contains(errs, c.want) || !strings.HasPrefix(errs, "tcid: ") {
			t.Errorf("%q: code %d, stdout %q, stderr %q, which should name %q", c.args, code, out, errs, c.want)
		}
	}
	if len(d.requests) != 0 {
		t.Errorf("the daemon was asked: %v", d.requests)
	}
}

func TestUnreachable(t *testing.T) {
	clearEnv(t)
	none := filepath.Join(t.TempDir(), "none")
	out, errs, code := tcid("", "run", "--socket", none, "--code", "1")
	if code != exitUnreachable || out != "" || !strings.Contains(errs, none) || !strings.Contains(errs, "tcid serve") {
		t.Errorf("code %d, stdout %q, stderr %q", code, out, errs)
	}
	_, errs, code = tcid("", "run", "--socket", none, "--code", "1", "--json")
	var body v1.ErrorBody
	if err := json.Unmarshal([]byte(errs), &body); err != nil || body.Error.Type != "client_error" || body.Error.Code != nil || code != exitUnreachable {
		t.Errorf("code %d, %v, stderr %q", code, err, errs)
	}
}

// A socket that its mode keeps from this user is a refusal, not an absence.
func TestSocketOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test gives up root's rights for a while: run it as root")
	}
	clearEnv(t)
	dir, err := os.MkdirTemp("", "tcid-cli-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.NotFoundHandler()}
	go func() { _ = s.Serve(l) }() // answers if the mode is not in the way
	defer s.Close()
	if err := os.Chmod(socket, 0o600); err != nil {
		t.Fatal(err)
	}
	// For all threads: the connection is made by one that the runtime chooses.
	if err := syscall.Setreuid(-1, 65534); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setreuid(-1, 0); err != nil {
			panic(err)
		}
	}()
	_, errs, code := tcid("", "session", "ls", "--socket", socket)
	if code != exitRefused || !strings.Contains(errs, "group (tcid)") {
		t.Errorf("code %d, stderr %q", code, errs)
	}
	_, errs, code = tcid("", "image", "ls", "--data-dir", dir)
	if code != exitRefused || !strings.Contains(errs, "as root") {
		t.Errorf("images: code %d, stderr %q", code, errs)
	}
}

func TestTryAgainLater(t *testing.T) {
	full := refusal(http.StatusTooManyRequests, "capacity", "no memory is left")
	full.header = map[string]string{"Retry-After": "1"}
	startFake(t, map[string]answer{"POST /v1/sessions": full})
	waits := strings.Repeat("tcid: no memory is left; trying again in 1s\n", client.DefaultRetries)
	check(t, "", waits+"tcid: no memory is left\ntcid: try again in 1s\n", exitCapacity)(tcid("", "session", "create"))
}

// The help topic and the document hold the same table.
func TestExitCodesAreDocumented(t *testing.T) {
	help, _, code := tcid("", "help", "exit-codes")
	if code != 0 {
		t.Fatalf("code %d", code)
	}
	fromHelp := map[string]string{}
	for line := range strings.Lines(help) {
		number, meaning, _ := strings.Cut(strings.TrimSpace(line), " ")
		if _, err := strconv.Atoi(number); err == nil {
			fromHelp[number] = strings.TrimSpace(meaning)
		}
	}
	fromDocs := map[string]string{}
	for line := range strings.Lines(readDocs(t)) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 {
			continue
		}
		if number := strings.TrimSpace(cells[1]); len(number) > 0 && number[0] >= '0' && number[0] <= '9' {
			fromDocs[number] = strings.TrimSpace(cells[2])
		}
	}
	if diff := cmp.Diff(fromHelp, fromDocs); diff != "" || len(fromHelp) != 9 {
		t.Errorf("help and docs/cli.md differ (-help +docs):\n%s", diff)
	}
}

func readDocs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The document names every command and every flag, and no command takes the
// name of libcontainer's child.
func TestCommandsAreDocumented(t *testing.T) {
	docs := readDocs(t)
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Name() == "init" {
			t.Errorf("%s: the name belongs to libcontainer", cmd.CommandPath())
		}
		if cmd.Runnable() && !strings.Contains(docs, cmd.Name()) {
			t.Errorf("docs/cli.md doesn't name %q", cmd.CommandPath())
		}
		for _, line := range strings.Split(cmd.LocalFlags().FlagUsages(), "\n") {
			_, flag, found := strings.Cut(line, "--")
			if found && !strings.Contains(docs, "--"+strings.Fields(flag)[0]) {
				t.Errorf("docs/cli.md doesn't name the flag --%s of %q", strings.Fields(flag)[0], cmd.CommandPath())
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRootCommand(&app{}))
}
