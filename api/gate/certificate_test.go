package gate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// writePair writes a certificate for name and its key.
func writePair(t *testing.T, certFile, keyFile, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCertificateIsReplaced(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePair(t, certFile, keyFile, "first")
	core, logs := observer.New(zap.InfoLevel)
	c, err := LoadCertificate(certFile, keyFile, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	expect := func(name string, lines int, what string) {
		t.Helper()
		now = now.Add(2 * certificateCheck)
		for range 3 {
			if got := c.get(now).Leaf.Subject.CommonName; got != name {
				t.Errorf("%s: the certificate is for %q, want %q", what, got, name)
			}
			now = now.Add(2 * certificateCheck)
		}
		if n := logs.Len(); n != lines {
			t.Errorf("%s: %d lines are logged, want %d: %v", what, n, lines, logs.All())
		}
	}
	expect("first", 0, "unchanged")
	writePair(t, certFile, keyFile, "second")
	if got := c.get(c.checked.Add(certificateCheck / 2)).Leaf.Subject.CommonName; got != "first" {
		t.Errorf("the files are looked at more than once a second: %q", got)
	}
	expect("second", 1, "replaced")
	if err := os.WriteFile(certFile, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect("second", 2, "broken")
	if err := os.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	expect("second", 3, "missing")
	writePair(t, certFile, filepath.Join(dir, "other.pem"), "third")
	expect("second", 3, "one of the two")
	writePair(t, certFile, keyFile, "fourth")
	expect("fourth", 4, "mended")
}

func TestCertificateRefused(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	writePair(t, at("a.cert"), at("a.key"), "a")
	writePair(t, at("b.cert"), at("b.key"), "b")
	for _, pair := range [][2]string{{"a.cert", "b.key"}, {"a.cert", "none"}, {"none", "a.key"}, {"a.key", "a.cert"}} {
		if _, err := LoadCertificate(at(pair[0]), at(pair[1]), zap.NewNop()); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%v: %v", pair, err)
		}
	}
	c, err := LoadCertificate(at("a.cert"), at("a.key"), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if cfg := c.Config(); cfg.MinVersion != tls.VersionTLS12 || len(cfg.NextProtos) != 1 || cfg.NextProtos[0] != "http/1.1" {
		t.Errorf("TLS from version %x, %v", cfg.MinVersion, cfg.NextProtos)
	}
}
