package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	v1 "tcid/api/v1"
)

// Many large bodies at once take no more of the daemon's memory than it has for
// them: what does not fit is refused, and told to come again.
func TestLargeBodiesTogether(t *testing.T) {
	const (
		clients  = 40
		size     = 48 << 20
		mostMiB  = 1536 // where garbage is collected without waiting, see daemon.otherMemory
		overhead = 1 << 10
	)
	d := start(t, "--pool", "0")
	s := d.create(t, v1.SessionSpec{})
	content := bytes.Repeat([]byte("x"), size-overhead)
	body := `{"code":"1","files":[{"name":"f","encoding":"string","content":"` + string(content) + `"}]}`
	plain := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(d.state, "tcid.sock"))
	}}}
	defer plain.CloseIdleConnections()
	var refused, taken, others atomic.Int64
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			resp, err := plain.Post("http://localhost/v1/sessions/"+s.ID+"/executions", "application/json", strings.NewReader(body))
			if err != nil {
				others.Add(1) // cut off while it was sending
				return
			}
			defer resp.Body.Close()
			text, _ := io.ReadAll(resp.Body)
			var answer v1.ErrorBody
			_ = json.Unmarshal(text, &answer)
			switch {
			case resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get("Retry-After") != "":
				refused.Add(1)
			case resp.StatusCode == http.StatusBadRequest && answer.Error.Code != nil && *answer.Error.Code == "invalid_value":
				taken.Add(1) // it was read: a file of 48 MiB is too large within JSON
			default:
				others.Add(1)
			}
		})
	}
	group.Wait()
	peak, err := strconv.Atoi(strings.TrimSuffix(statusField(t, d.cmd.Process.Pid, "VmHWM"), " kB"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d clients with %d MiB: %d read, %d refused, %d cut off; the daemon had %d MiB at most",
		clients, size>>20, taken.Load(), refused.Load(), others.Load(), peak>>10)
	if refused.Load()+others.Load() == 0 || taken.Load() == 0 {
		t.Error("none was refused, or none was read")
	}
	if peak>>10 > mostMiB {
		t.Errorf("the daemon had %d MiB", peak>>10)
	}
	// What was taken is given back.
	if e := d.run(t, s.ID, "1 + 1"); string(e.Result) != "2" {
		t.Errorf("afterwards 1 + 1 = %s", e.Result)
	}
	small := strings.Repeat("x", 8<<20)
	if _, err := d.Execute(callContext(t), s.ID, v1.ExecSpec{Code: "1", Files: []v1.InlineFile{{Name: "f", Encoding: "string", Content: small}}}); err != nil {
		t.Error(err)
	}
}
