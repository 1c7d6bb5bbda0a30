package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	v1 "tcid/api/v1"
	"tcid/internal/version"
)

const sessionPath = "/v1/sessions/" + testSession

// aSession was made a while ago.
func aSession(id string) v1.Session {
	now := time.Now()
	expires := now.Add(90*time.Second + 300*time.Millisecond)
	return v1.Session{ID: id, Object: "session", State: v1.StateReady, CreatedAt: now.Add(-time.Minute), ExpiresAt: &expires,
		ExecuteCount: 3, Resources: v1.Resources{MemoryMB: 512}, Image: "default"}
}

// The clock stands still in a bubble.
func TestSessionTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		forever := aSession("ses_2")
		forever.ExpiresAt = nil
		if err := (&app{out: &out}).printSessions([]v1.Session{aSession(testSession), forever}); err != nil {
			t.Fatal(err)
		}
		want := "ID                         STATE  AGE   EXECUTIONS  MEMORY   IMAGE    EXPIRES\n" +
			testSession + "  ready  1m0s  3           512 MiB  default  in 1m30s\n" +
			"ses_2                      ready  1m0s  3           512 MiB  default  never\n"
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Error(diff)
		}
	})
}

// ids are the first column of a table, without its head.
func ids(table string) []string {
	var found []string
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); fields[0] != "ID" {
			found = append(found, fields[0])
		}
	}
	return found
}

func TestSessionCreate(t *testing.T) {
	s := aSession(testSession)
	d := startFake(t, map[string]answer{"POST /v1/sessions": {status: 201, body: s}})
	check(t, testSession+"\n", "", 0)(tcid("", "session", "create"))
	if diff := cmp.Diff(`{"resources":{}}`, d.last(t).body); diff != "" {
		t.Error(diff)
	}
	out, _, code := tcid("", "session", "create", "--ttl", "60", "--idle-timeout", "0", "--metadata", "job=1=2", "--env", "A=B", "--json")
	if diff := cmp.Diff(`{"ttl":60,"idle_timeout":0,"env":{"A":"B"},"metadata":{"job":"1=2"},"resources":{}}`, d.last(t).body); diff != "" {
		t.Error(diff)
	}
	var got v1.Session
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.ID != testSession || code != 0 {
		t.Errorf("code %d, %v, stdout %q", code, err, out)
	}
}

func TestSessionList(t *testing.T) {
	next := "after"
	startFake(t, map[string]answer{
		"GET /v1/sessions":                                      {body: v1.SessionList{Data: []v1.Session{aSession(testSession)}, Next: &next}},
		"GET /v1/sessions?after=after":                          {body: v1.SessionList{Data: []v1.Session{aSession("ses_2")}}},
		"GET /v1/sessions?metadata.a=b&metadata.c=d&state=busy": {body: v1.SessionList{Data: []v1.Session{}}},
	})
	out, errs, code := tcid("", "session", "ls")
	if diff := cmp.Diff([]string{testSession, "ses_2"}, ids(out)); diff != "" || errs != "" || code != 0 {
		t.Errorf("code %d, stderr %q, (-want +got):\n%s", code, errs, diff)
	}
	check(t, `{"data":[],"next":null}`+"\n", "", 0)(
		tcid("", "session", "ls", "--state", "busy", "--metadata", "a=b", "--metadata", "c=d", "--json"))
}

func TestSessionCalls(t *testing.T) {
	s := answer{body: aSession(testSession)}
	for name, route := range map[string]string{
		"info": "GET " + sessionPath, "interrupt": "POST " + sessionPath + "/interrupt", "restart": "POST " + sessionPath + "/restart",
	} {
		t.Run(name, func(t *testing.T) {
			startFake(t, map[string]answer{route: s})
			out, errs, code := tcid("", "session", name, testSession)
			if diff := cmp.Diff([]string{testSession}, ids(out)); diff != "" || errs != "" || code != 0 {
				t.Errorf("code %d, stderr %q, (-want +got):\n%s", code, errs, diff)
			}
			out, _, code = tcid("", "session", name, testSession, "--json")
			if !strings.HasPrefix(out, `{"id":"`+testSession+`","object":"session"`) || code != 0 {
				t.Errorf("code %d, stdout %q", code, out)
			}
		})
	}
}

func TestSessionRemove(t *testing.T) {
	d := startFake(t, map[string]answer{
		"DELETE /v1/sessions/ses_a":              {body: v1.Closed{ID: "ses_a", Closed: true}},
		"DELETE /v1/sessions/ses_b":              refusal(http.StatusNotFound, "session_not_found", "no b"),
		"DELETE /v1/sessions/ses_c":              refusal(http.StatusInternalServerError, "internal", "no c"),
		"DELETE /v1/sessions?metadata.job=7":     {body: v1.ClosedCount{Closed: 12}},
		"DELETE /v1/sessions/ses_a%2F..%2Fses_b": refusal(http.StatusNotFound, "session_not_found", "no such"),
	})
	check(t, "", "", 0)(tcid("", "session", "rm", "ses_a"))
	check(t, "", "tcid: no b\n", 4)(tcid("", "session", "rm", "ses_b"))
	check(t, "", "tcid: no such\n", 4)(tcid("", "session", "rm", "ses_a/../ses_b"))
	// All are tried, all that fail are named, and the first decides.
	check(t, "", "tcid: ses_b: no b\ntcid: ses_c: no c\n", 4)(tcid("", "session", "rm", "ses_b", "ses_c", "ses_a"))
	if got := d.last(t).what; got != "DELETE /v1/sessions/ses_a" {
		t.Errorf("the last request was %s", got)
	}
	check(t, `{"closed":1}`+"\n", "", 0)(tcid("", "session", "rm", "ses_a", "--json"))
	check(t, "", "", 0)(tcid("", "session", "rm", "--metadata", "job=7"))
	check(t, `{"closed":12}`+"\n", "", 0)(tcid("", "session", "rm", "--metadata", "job=7", "--json"))
}

func TestSessionFiles(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	startFake(t, map[string]answer{
		"GET " + sessionPath + "/files": {body: v1.FileList{Truncated: true, Data: []v1.FileInfo{
			{Path: "sub", Name: "sub", Type: "directory", Mode: "0755", ModifiedAt: at},
			{Path: "a\x1b[2J", Name: "a\x1b[2J", Size: 12, Type: "file", Mode: "0644", ModifiedAt: at}}}},
		"GET " + sessionPath + "/files?path=sub%2Fx&recursive=true": {body: v1.FileList{Data: []v1.FileInfo{}}},
	})
	// Names are the session's choice: they must not reach a terminal as they are.
	check(t, "directory  0755  0   2026-01-02 03:04:05  \"sub\"\nfile       0644  12  2026-01-02 03:04:05  \"a\\x1b[2J\"\n",
		"tcid: there are more files than are listed\n", 0)(tcid("", "session", "files", testSession))
	check(t, `{"data":[],"truncated":false}`+"\n", "", 0)(tcid("", "session", "files", testSession, "sub/x", "-r", "--json"))
}

func TestUpload(t *testing.T) {
	local := filepath.Join(t.TempDir(), "in.txt")
	if err := os.WriteFile(local, []byte("content"), 0o640); err != nil {
		t.Fatal(err)
	}
	for remote, want := range map[string]string{"": "in.txt", "sub/": "sub/in.txt", "b c": "b%20c", "x:y": "x:y"} {
		d := startFake(t, map[string]answer{
			"PUT " + sessionPath + "/files/" + want + "?mode=0640": {status: 201, body: v1.FileInfo{Path: "p", Name: "p", Size: 7}}})
		check(t, "", "", 0)(tcid("", "session", "cp", local, testSession+":"+remote))
		if got := d.last(t).body; got != "content" {
			t.Errorf("sent %q", got)
		}
		out, _, code := tcid("", "session", "cp", local, testSession+":"+remote, "--json")
		if !strings.HasPrefix(out, `{"path":"p","name":"p","size":7,`) || code != 0 {
			t.Errorf("code %d, stdout %q", code, out)
		}
	}
}

func TestDownload(t *testing.T) {
	startFake(t, map[string]answer{
		"GET " + sessionPath + "/files/d/f":  {body: "content"},
		"GET " + sessionPath + "/files/cut":  {header: map[string]string{"Content-Length": "100"}, body: "half"},
		"GET " + sessionPath + "/files/none": refusal(http.StatusNotFound, "file_not_found", "there is no file none"),
	})
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for name, content := range map[string]string{"old": "a longer text than the new one", "kept": "kept"} {
		if err := os.WriteFile(path(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("old", path("link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path("blocked"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path("blocked/f"), 0o755); err != nil {
		t.Fatal(err)
	}
	get := func(remote, local string) (string, string, int) {
		return tcid("", "session", "cp", testSession+":"+remote, local)
	}
	check(t, "", "", 0)(get("d/f", path("new")))
	check(t, "", "", 0)(get("d/f", dir))
	check(t, "", "", 0)(get("d/f", path("link")))
	check(t, "", "", 0)(get("d/f", os.DevNull))
	check(t, "", "tcid: there is no file none\n", 4)(get("none", path("kept")))
	if _, errs, code := get("cut", path("kept")); code != exitInfra || !strings.Contains(errs, "unexpected EOF") {
		t.Errorf("a cut file: code %d, stderr %q", code, errs)
	}
	check(t, "", "tcid: "+path("blocked/f")+" is a directory\n", 2)(get("d/f", path("blocked")))
	if _, _, code := get("d/f", path("no/such/dir")); code != exitUsage {
		t.Errorf("a missing directory: code %d", code)
	}
	for name, want := range map[string]string{"new": "content", "f": "content", "old": "content", "link": "content", "kept": "kept"} {
		if got, err := os.ReadFile(path(name)); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v; want %q", name, got, err, want)
		}
	}
	if info, err := os.Lstat(path("link")); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info, err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		t.Fatalf("%s is %v, %v", os.DevNull, info, err)
	}
	mask := syscall.Umask(0)
	syscall.Umask(mask)
	if info, err := os.Stat(path("new")); err != nil || int(info.Mode().Perm()) != newFileMode&^mask {
		t.Errorf("the new file has the mode %v, %v", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 6 {
		t.Errorf("the directory holds %v, %v", entries, err)
	}
}

func TestVersion(t *testing.T) {
	v := v1.Version{Version: "9.9", Isolation: v1.Isolation{Cgroup: "v2", Limits: []string{"memory", "pids"}, Seccomp: true, Namespaces: []string{"user", "pid"}}}
	startFake(t, map[string]answer{"GET /v1/version": {body: v}})
	client := "client: " + version.Version + "\n"
	check(t, client+"daemon: 9.9\nisolation: cgroup v2; limits: memory pids; seccomp: true; namespaces: user pid\n", "", 0)(tcid("", "version"))
	check(t, client, "", 0)(tcid("", "version", "--client"))
	check(t, `{"client":"`+version.Version+`","daemon":null}`+"\n", "", 0)(tcid("", "version", "--client", "--json"))
	// Without a daemon, the client's version is told all the same.
	none := filepath.Join(t.TempDir(), "none")
	if out, errs, code := tcid("", "version", "--socket", none); out != client || !strings.Contains(errs, none) || code != exitUnreachable {
		t.Errorf("code %d, stdout %q, stderr %q", code, out, errs)
	}
}

// What needs no image to be built; rootfs tests the building.
func TestImageCommands(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("images belong to root: run this test as root")
	}
	clearEnv(t)
	dir := t.TempDir()
	t.Setenv("TCID_DATA_DIR", dir)
	check(t, "NAME  PYTHON  SIZE  DIGEST  CREATED  FROM\n", "", 0)(tcid("", "image", "ls"))
	check(t, `{"data":[]}`+"\n", "", 0)(tcid("", "image", "ls", "--json"))
	for _, args := range [][]string{{"rm", "nope"}, {"verify", "nope"}, {"verify"}} {
		out, errs, code := tcid("", append([]string{"image"}, args...)...)
		if out != "" || !strings.HasPrefix(errs, "tcid: no such image: ") || code != exitNotFound {
			t.Errorf("%q: code %d, stdout %q, stderr %q", args, code, out, errs)
		}
	}
	other := t.TempDir()
	check(t, `{"data":[]}`+"\n", "", 0)(tcid("", "image", "ls", "--json", "--data-dir", other))
	if _, err := os.Stat(filepath.Join(other, "images")); err != nil {
		t.Errorf("--data-dir was not looked at: %v", err)
	}
}
