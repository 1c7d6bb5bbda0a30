package hostile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tcid/api/client"
	v1 "tcid/api/v1"
)

// What programs of the group files try to reach through the daemon: a directory
// of the host's, made for the test.
const (
	hostDir  = "/run/tcid-hostile.host"
	secret   = "of the host, not for sessions"
	patience = 5 * time.Second // that a call to the file API may take
	// racing is how long calls are repeated while a program runs.
	racing = 3 * time.Second
)

// hostFiles is held by the one program that has the directory: daemons run side
// by side.
var hostFiles sync.Mutex

// fileCall is one that the driver makes to the file API of the session.
type fileCall struct{ op, path string }

// parseFileCalls reads "download a, upload b/c, during". The last word has the
// calls repeated while the program runs, and not made after it.
func parseFileCalls(text string) (calls []fileCall, err error) {
	for word := range strings.SplitSeq(text, ",") {
		op, path, _ := strings.Cut(strings.TrimSpace(word), " ")
		if !slices.Contains([]string{"download", "upload", "delete", "list", "during"}, op) {
			return nil, fmt.Errorf("there is no file call %q", op)
		}
		calls = append(calls, fileCall{op, strings.TrimSpace(path)})
	}
	return calls, nil
}

// execute runs a program and makes the calls that it asks for.
func (d *daemon) execute(ctx context.Context, t *testing.T, session, code string, p program) (e v1.Execution, flags []string) {
	t.Helper()
	if len(p.files) > 0 {
		makeHostFiles(t)
	}
	during := slices.ContainsFunc(p.files, func(c fileCall) bool { return c.op == "during" })
	stop := make(chan struct{})
	found := make(chan []string, 1)
	if during {
		go func() {
			var all []string
			for end := time.Now().Add(racing); time.Now().Before(end) && len(all) == 0; {
				all = append(all, d.fileCalls(ctx, session, p.files)...)
			}
			<-stop
			found <- all
		}()
	}
	e, err := d.Execute(ctx, session, v1.ExecSpec{Code: code, Timeout: &p.timeout, Tests: p.conditions()})
	if err != nil {
		flags = append(flags, fmt.Sprintf("the daemon's answer can't be used: %v", err))
	}
	close(stop)
	if during {
		return e, append(flags, <-found...)
	}
	return e, append(flags, d.fileCalls(ctx, session, p.files)...)
}

func makeHostFiles(t *testing.T) {
	t.Helper()
	hostFiles.Lock()
	t.Cleanup(hostFiles.Unlock)
	if err := os.RemoveAll(hostDir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(hostDir) })
	if err := os.MkdirAll(hostDir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(hostDir, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"secret", "victim"} {
		if err := os.WriteFile(filepath.Join(hostDir, name), []byte(secret), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// fileCalls makes the calls, and says what of the host they reached.
func (d *daemon) fileCalls(ctx context.Context, session string, calls []fileCall) (flags []string) {
	for _, c := range calls {
		callCtx, cancel := context.WithTimeout(ctx, patience)
		text, err := d.fileCall(callCtx, session, c)
		if callCtx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
			flags = append(flags, fmt.Sprintf("%s %s takes longer than %v", c.op, c.path, patience))
		}
		cancel()
		if strings.Contains(text, secret) || c.op == "list" && strings.Contains(text, "victim") {
			flags = append(flags, fmt.Sprintf("%s %s shows what is the host's", c.op, c.path))
		}
	}
	entries, _ := os.ReadDir(hostDir)
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if len(calls) > 0 && !slices.Equal(names, []string{"secret", "victim"}) {
		flags = append(flags, fmt.Sprintf("the host's directory now holds %q", names))
	}
	for _, name := range []string{"secret", "victim"} {
		if text, err := os.ReadFile(filepath.Join(hostDir, name)); len(calls) > 0 && err == nil && string(text) != secret {
			flags = append(flags, "a file of the host's is changed")
		}
	}
	return flags
}

func (d *daemon) fileCall(ctx context.Context, session string, c fileCall) (text string, err error) {
	switch c.op {
	case "download":
		content, err := d.Download(ctx, session, c.path)
		if err != nil {
			return "", err
		}
		defer content.Close()
		b, err := io.ReadAll(io.LimitReader(content, 1<<20))
		return string(b), err
	case "upload":
		_, err = d.Upload(ctx, session, c.path, strings.NewReader("from a client"), client.UploadOptions{})
	case "delete":
		err = d.DeleteFile(ctx, session, c.path, true)
	case "list":
		list, listErr := d.ListFiles(ctx, session, c.path, true)
		return fmt.Sprint(list), listErr
	}
	return "", err
}
