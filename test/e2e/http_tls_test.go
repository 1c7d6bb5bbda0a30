package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tcid/api/client"
	v1 "tcid/api/v1"
)

// writeCertificate makes a certificate for localhost, with its key in key.pem,
// and returns it.
func writeCertificate(t *testing.T, dir string, serial int64) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// With TLS the daemon may listen on all addresses, and takes a new certificate
// without a restart.
func TestHTTPTLS(t *testing.T) {
	t.Parallel() // with the other one that waits
	dir, port := t.TempDir(), freePort(t)
	keys := filepath.Join(dir, "keys")
	if err := os.WriteFile(keys, []byte("alice "+aliceKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	certificate := writeCertificate(t, dir, 1)
	d := start(t, "--listen", "0.0.0.0:"+port, "--key-file", keys,
		"--tls-cert", filepath.Join(dir, "cert.pem"), "--tls-key", filepath.Join(dir, "key.pem"))
	address := "127.0.0.1:" + port
	settings := func(change func(*tls.Config)) *tls.Config {
		c := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost", NextProtos: []string{"h2", "http/1.1"}}
		c.RootCAs.AddCert(certificate)
		if change != nil {
			change(c)
		}
		return c
	}
	handshake := func(change func(*tls.Config)) (*tls.Conn, error) {
		c := tls.Client(dialFrom(t, "127.0.0.1", address), settings(change))
		return c, c.Handshake()
	}
	first, err := handshake(nil)
	if err != nil {
		t.Fatal(err)
	}
	if state := first.ConnectionState(); state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "http/1.1" {
		t.Errorf("TLS %x with %q", state.Version, state.NegotiatedProtocol)
	}
	if _, err := handshake(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }); err == nil {
		t.Error("TLS 1.1 is taken")
	}
	if got := ask(t, dialFrom(t, "127.0.0.1", address), get+authorized+"\r\n"); got.Status != 400 {
		t.Errorf("without TLS: %+v", got)
	}

	// Everything else is as without TLS: a session, a file, an answer that waits.
	transport := &http.Transport{TLSClientConfig: settings(nil)}
	t.Cleanup(transport.CloseIdleConnections)
	alice := client.New(client.Options{URL: "https://" + address, Key: aliceKey, Wrap: func(http.RoundTripper) http.RoundTripper {
		return d.contract.RoundTripper(transport)
	}})
	s, err := alice.CreateSession(callContext(t), v1.SessionSpec{})
	if err != nil {
		t.Fatal(err)
	}
	content := strings.Repeat("0123456789abcdef", 1<<20)
	if _, err := alice.Upload(callContext(t), s.ID, "big", strings.NewReader(content), client.UploadOptions{}); err != nil {
		t.Error(err)
	}
	body, err := alice.Download(callContext(t), s.ID, "big")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(body); err != nil || string(got) != content {
		t.Errorf("%d bytes come back, %v", len(got), err)
	}
	_ = body.Close()
	done := make(chan error, 1)
	go func() { // an answer from before and after the new certificate, with a heartbeat in between
		e, err := alice.Execute(callContext(t), s.ID, v1.ExecSpec{Code: "import time; time.sleep(10.5); 42"})
		if err == nil && string(e.Result) != "42" {
			err = fmt.Errorf("the result is %s", e.Result)
		}
		done <- err
	}()

	old := certificate
	certificate = writeCertificate(t, dir, 2)
	for deadline := time.Now().Add(answerTime); ; time.Sleep(50 * time.Millisecond) {
		if _, err = handshake(nil); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the new certificate is not used: %v\n%s", err, d.log)
		}
	}
	if got := ask(t, first, get+authorized+"\r\n"); got.Status != 200 {
		t.Errorf("the connection from before: %+v", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "cert.pem"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(answerTime); !strings.Contains(d.log.String(), "going on with the old one"); time.Sleep(50 * time.Millisecond) {
		if _, err := handshake(nil); err != nil {
			t.Errorf("with a broken file: %v", err)
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing is logged about the broken file")
		}
	}
	if _, err := handshake(nil); err != nil {
		t.Errorf("with a broken file: %v", err)
	}
	if _, err := handshake(func(c *tls.Config) { c.RootCAs = x509.NewCertPool(); c.RootCAs.AddCert(old) }); err == nil {
		t.Error("the first certificate is still used")
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// The API keys are exchanged without a restart, and sessions stay with their
// owner's name.
func TestHTTPKeyRotation(t *testing.T) {
	d, address, keys := startTCP(t)
	with := func(key string) *client.Client {
		c := client.New(client.Options{URL: "http://" + address, Key: key, Wrap: d.contract.RoundTripper})
		t.Cleanup(c.Close)
		return c
	}
	old, fresh := with(aliceKey), with("fedcba9876543210")
	s, err := old.CreateSession(callContext(t), v1.SessionSpec{})
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	reread := func(content string) {
		t.Helper()
		if err := os.WriteFile(keys, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		said := func() int {
			return strings.Count(d.log.String(), "read the API keys again") + strings.Count(d.log.String(), "the API keys as they were")
		}
		for deadline := time.Now().Add(answerTime); said() == lines; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("SIGHUP has no effect")
			}
		}
		lines = said()
	}
	reread("alice " + aliceKey + "\nalice fedcba9876543210\n") // both, while clients change over
	for _, c := range []*client.Client{old, fresh} {
		if _, err := c.GetSession(callContext(t), s.ID); err != nil {
			t.Error(err)
		}
	}
	reread("alice fedcba9876543210\n")
	_, err = old.GetSession(callContext(t), s.ID)
	apiError(t, err, 401, "invalid_api_key")
	reread("alice short\n")
	if _, err := fresh.GetSession(callContext(t), s.ID); err != nil {
		t.Errorf("with a broken file: %v", err)
	}
	if err := fresh.CloseSession(callContext(t), s.ID); err != nil {
		t.Error(err)
	}
	if strings.Contains(d.log.String(), "fedcba") {
		t.Error("a key is in the log")
	}
}

// Settings that would put keys on the network in the clear, or can't be meant,
// are refused before anything is started.
func TestHTTPListenRefused(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir, 1)
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for want, args := range map[string][]string{
		"--insecure-listen":         {"--listen", "0.0.0.0:0"},
		"give --tls-cert":           {"--listen", ":0"},
		"go together":               {"--listen", "127.0.0.1:0", "--tls-cert", cert},
		"of no use without":         {"--tls-cert", cert, "--tls-key", key},
		"read the TLS certificate":  {"--listen", "0.0.0.0:0", "--tls-cert", key, "--tls-key", cert},
		"no such file or directory": {"--listen", "0.0.0.0:0", "--tls-cert", cert, "--tls-key", filepath.Join(dir, "none")},
	} {
		state, err := os.MkdirTemp("/run", "tcid-e2e-")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(state, 0o711); err != nil {
			t.Fatal(err)
		}
		all := append([]string{"serve", "--ephemeral", "--state-dir", state, "--data-dir", dataDir, "--log-level", "error"}, args...)
		out, err := exec.Command(program, all...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || !strings.Contains(string(out), want) {
			t.Errorf("%v: %v, %s, want something with %q", args, err, out, want)
		}
		_ = os.RemoveAll(state)
	}
	d := start(t, "--listen", "0.0.0.0:"+freePort(t), "--insecure-listen")
	if _, err := d.Ready(callContext(t)); err != nil {
		t.Error(err)
	}
}
