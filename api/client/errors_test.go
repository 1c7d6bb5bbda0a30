package client

import (
	"errors"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestErrors(t *testing.T) {
	const id = "req_1"
	for name, c := range map[string]struct {
		status int
		header http.Header
		body   string
		want   Error
		text   string
	}{
		"in full": {404, nil, `{"error":{"message":"no such","type":"not_found_error","param":"image","code":"image_not_found","request_id":"req_1"}}`,
			Error{Status: 404, Type: "not_found_error", Code: "image_not_found", Message: "no such", Param: "image", RequestID: id}, "no such"},
		"TLS is wanted": {400, nil, "Client sent an HTTP request to an HTTPS server.\n",
			Error{Status: 400, RequestID: id, Message: "the daemon speaks TLS at this address: write https:// in the place of http://"},
			"the daemon speaks TLS at this address: write https:// in the place of http://"},
		"nulls": {400, nil, `{"error":{"message":"bad","type":"invalid_request_error","param":null,"code":null}}`,
			Error{Status: 400, Type: "invalid_request_error", Message: "bad", RequestID: id}, "bad"},
		"try later": {429, http.Header{"Retry-After": {"7"}}, `{"error":{"message":"full","type":"rate_limit","code":"capacity"}}`,
			Error{Status: 429, Type: "rate_limit", Code: "capacity", Message: "full", RequestID: id, RetryAfter: 7 * time.Second}, "full"},
		"not JSON": {502, http.Header{"Retry-After": {"soon"}}, "<html>",
			Error{Status: 502, RequestID: id}, "the daemon answered with HTTP status 502"},
		"not ready": {503, nil, `{"status":"draining"}`,
			Error{Status: 503, Message: "the daemon takes no work: it is draining", RequestID: id}, "the daemon takes no work: it is draining"},
		"redirect": {307, http.Header{"Location": {"http://example.org/"}}, "",
			Error{Status: 307, RequestID: id}, "the daemon answered with HTTP status 307"},
	} {
		t.Run(name, func(t *testing.T) {
			rec := &recorder{status: c.status, header: http.Header{"X-Request-Id": {id}}, body: c.body}
			for k, v := range c.header {
				rec.header[k] = v
			}
			_, err := overTCP(t, rec).Ready(t.Context())
			var got *Error
			if !errors.As(err, &got) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if diff := cmp.Diff(c.want, *got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if err.Error() != c.text || IsUnreachable(err) || IsNotFound(err) != (c.status == 404) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAnswerThatIsNoJSON(t *testing.T) {
	for name, body := range map[string]string{"empty": "", "page": "<html>", "cut off": `{"id":"s`, "white space": "   "} {
		t.Run(name, func(t *testing.T) {
			_, err := overTCP(t, &recorder{status: 200, body: body}).GetSession(t.Context(), "s")
			if err == nil || !strings.Contains(err.Error(), "read the daemon's answer") || IsUnreachable(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	for name, c := range map[string]struct {
		o    Options
		want []string
	}{
		"no socket":     {Options{Socket: filepath.Join(dir, "none")}, []string{filepath.Join(dir, "none"), `"tcid serve"`, "--socket"}},
		"dead socket":   {Options{Socket: dead}, []string{dead, `"tcid serve"`, "refused"}},
		"no daemon":     {Options{URL: "http://" + tcp.Addr().String()}, []string{tcp.Addr().String(), `"tcid serve"`, "refused"}},
		"no TLS":        {Options{URL: "https" + strings.TrimPrefix(plain.URL, "http")}, []string{"http://", "--tls-cert"}},
		"not trusted":   {Options{URL: secure.URL}, []string{secure.URL, "SSL_CERT_FILE"}},
		"not a socket":  {Options{Socket: os.DevNull}, []string{os.DevNull}},
		"too long":      {Options{Socket: "/" + strings.Repeat("x", 200)}, []string{"invalid argument"}},
		"not a network": {Options{URL: "http://127.0.0.1:99999"}, []string{"99999"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(c.o).Version(t.Context())
			if !IsUnreachable(err) {
				t.Fatalf("got %v, want an unreachable daemon", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q doesn't name %q", err, want)
				}
			}
		})
	}
}

// Root may connect to everything, so the refusal itself is made up.
func TestSocketOfOthers(t *testing.T) {
	err := error(&unreachableError{where: "/run/s", err: &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EACCES)}})
	if !IsUnreachable(err) || !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "group (tcid)") {
		t.Errorf("got %v", err)
	}
}
