package api

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseKeys(t *testing.T) {
	keys, err := ParseKeys(strings.NewReader("# ours\n\nalice 0123456789abcdef\nfedcba9876543210\n"))
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := keys.principal("0123456789abcdef"); !ok || p.ID != "key:alice" || p.Admin {
		t.Errorf("a named key gives %+v, %v", p, ok)
	}
	other, ok := keys.principal("fedcba9876543210")
	if !ok || other.ID == "key:" || strings.Contains(other.ID, "fedcba") {
		t.Errorf("a key without a name gives %+v, %v", other, ok)
	}
	for _, wrong := range []string{"", "0123456789abcde", "0123456789abcdeF", "alice"} {
		if p, ok := keys.principal(wrong); ok {
			t.Errorf("%q is taken as %+v", wrong, p)
		}
	}
}

func TestParseKeysRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "comments only": "# x\n", "short": "abc\n", "three words": "a b 0123456789abcdef\n",
		"same key twice":       "0123456789abcdef\n0123456789abcdef\n",
		"same key, other name": "a 0123456789abcdef\nb 0123456789abcdef\n",
		"too long":             strings.Repeat("x", 600) + "\n",
	} {
		if _, err := ParseKeys(strings.NewReader(text)); err == nil {
			t.Errorf("%s is taken", name)
		} else if strings.Contains(err.Error(), "0123456789abcdef") {
			t.Errorf("%s: the error shows a key: %v", name, err)
		}
	}
}

func TestCreateKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	if err := CreateKeyFile(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key file: %v, %v", info, err)
	}
	before, _ := os.ReadFile(path)
	if _, err := LoadKeys(path); err != nil {
		t.Error(err)
	}
	if err := CreateKeyFile(path); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Error("an existing key file was changed")
	}
}

func TestHostAllowed(t *testing.T) {
	s := &Server{Options: Options{Hosts: []string{"box.example"}}}
	for host, want := range map[string]bool{
		"localhost": true, "localhost:8787": true, "LOCALHOST:1": true, "127.0.0.1:8787": true, "127.9.9.9": true,
		"[::1]:8787": true, "::1": true, "box.example:8787": true, "Box.Example": true,
		"": false, "evil.example": false, "localhost.evil.example": false, "10.0.0.1": false, "0.0.0.0": false,
		"box.example.evil.example": false, "127.0.0.1.evil.example": false,
	} {
		if got := s.hostAllowed(host); got != want {
			t.Errorf("hostAllowed(%q) = %v, want %v", host, got, want)
		}
	}
	for origin, want := range map[string]bool{
		"https://box.example": true, "http://box.example:3000": true,
		"null": false, "http://localhost": false, "http://127.0.0.1:8787": false, "https://evil.example": false,
	} {
		if got := s.originAllowed(origin); got != want {
			t.Errorf("originAllowed(%q) = %v, want %v", origin, got, want)
		}
	}
}
