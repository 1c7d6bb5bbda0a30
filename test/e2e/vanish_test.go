package e2e

import (
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// Sessions that were made for clients which have gone without learning their ids
// end: nobody could use or close them.
func TestSessionsOfVanishedClients(t *testing.T) {
	t.Parallel() // with the others that wait
	d := start(t, "--pool", "0")
	send := func(path, body string, after time.Duration) {
		t.Helper()
		c, err := net.Dial("unix", filepath.Join(d.state, "tcid.sock"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body); err != nil {
			t.Fatal(err)
		}
		time.Sleep(after)
	}
	for range 5 {
		send("/v1/sessions", `{"isolation":"fresh"}`, 20*time.Millisecond) // it takes some eighty
		send("/v1/executions", `{"code":"import time; time.sleep(60)"}`, 200*time.Millisecond)
		send("/v1/tci/execute", `{"language":"python","code":"import time; time.sleep(60)"}`, 200*time.Millisecond)
	}
	var left int
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		if left = d.metric(t, "tcid_sessions"); left == 0 && time.Until(deadline) < 28*time.Second {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d sessions are left of clients that have gone", left)
		}
	}
}
