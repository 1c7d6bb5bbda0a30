package rootfs

import (
	"context"
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRewriteShebang(t *testing.T) {
	const ours = "#!" + pythonPath
	for text, want := range map[string]string{
		"#!/opt/x/bin/python3.11\nx":      ours + "\nx",
		"#!/opt/x/bin/python\r\nx":        ours + "\nx",
		"#!/opt/x/bin/python3 -E -s\nx":   ours + " -E -s\nx",
		"#! /opt/python3\nx":              ours + "\nx",
		"#!python\nx":                     ours + "\nx",
		"#!\"/opt/a b/python3\"\nx":       ours + "\nx",
		"#!/usr/bin/env python3\nx":       "",
		"#!/bin/sh\npython\n":             "",
		"#!/opt/pythonic/run\nx":          "",
		"x\n#!/opt/python\n":              "",
		"#!/opt/python":                   "", // no script
		"#!/usr/bin/perl /opt/python3\nx": "",
		"#!/bin/sh\n'''exec' \"/opt/a b/python3.11\" \"$0\" \"$@\"\n' '''\nx": ours + "\nx",
		"#!/bin/sh\n'''exec' /opt/long/python \"$0\" \"$@\"\n' '''\nx":        ours + "\nx",
		"#!/bin/sh\n'''exec' /opt/other \"$0\" \"$@\"\n' '''\nx":              "",
	} {
		if want == "" {
			want = text
		}
		if got := string(rewriteShebang([]byte(text))); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

// A package's libraries stay beside it, those of the host that it needs come
// along, and its headers carry nothing else off.
func TestClosureOfPackages(t *testing.T) {
	tr := emptyTree(t)
	l := &loader{machine: elf.EM_X86_64, cache: map[string]string{}, read: map[string]*object{}}
	dir := t.TempDir()
	add := func(path string, o *object) {
		script(t, dir+path, "")
		l.read[dir+path] = o
	}
	const inside = "/usr/lib/python3.11/site-packages"
	add("/wheels/x/core.so", &object{
		needed: []string{"libown.so", "libsystem.so", "libsecret.so", dir + "/secret/libsecret.so", "libpreloaded.so"},
		rpath:  []string{"$ORIGIN/../x.libs", dir + "/secret"}, interp: dir + "/secret/file",
	})
	add("/wheels/x/libpreloaded.so", &object{})
	add("/wheels/x.libs/libown.so", &object{needed: []string{"libsibling.so"}})
	add("/wheels/x.libs/libsibling.so", &object{})
	add("/secret/libsecret.so", &object{})
	add("/secret/file", nil)
	add("/system/libsystem.so", &object{})
	l.cache["libsystem.so"] = dir + "/system/libsystem.so"
	tr.packages = &packages{dir: dir + "/wheels", inside: inside}
	want := map[string]string{"/usr/lib/libsystem.so": dir + "/system/libsystem.so"}
	for _, path := range []string{"/x/core.so", "/x/libpreloaded.so", "/x.libs/libown.so", "/x.libs/libsibling.so"} {
		want[inside+path] = dir + "/wheels" + path
		if err := tr.file(dir+"/wheels"+path, inside+path); err != nil {
			t.Fatal(err)
		}
	}
	notes, err := l.close(context.Background(), tr)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, tr.sources); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
	if text := strings.Join(notes, "\n"); strings.Count(text, "libsecret.so") != len(notes) || len(notes) != 2 {
		t.Errorf("notes: %s", text)
	}
}

// A link that an installer would make is not followed to a file of the host.
func TestPackagesCarryNothingOff(t *testing.T) {
	tr := emptyTree(t)
	dir, secret := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	if err := errors.Join(os.WriteFile(secret, []byte("secret"), secretMode), os.MkdirAll(dir+"/x/y", dirMode),
		os.MkdirAll(dir+"/share", dirMode), os.MkdirAll(dir+"/bin", dirMode), os.Symlink(secret, dir+"/x/link"),
		os.Symlink(secret, dir+"/link.py"), os.Symlink(secret, dir+"/share/link"), os.Symlink(secret, dir+"/bin/link"),
		os.Symlink(secret, dir+"/etc"), os.WriteFile(dir+"/x/y/good.py", nil, fileMode)); err != nil {
		t.Fatal(err)
	}
	py := interpreter{Prefix: "/opt", ExecPrefix: "/opt", Packages: "/opt/lib/p"}
	if err := tr.addPackages(context.Background(), py, dir); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"/usr/lib/p/x/y/good.py": dir + "/x/y/good.py"}, tr.sources); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
}

func TestInstallerEnvironment(t *testing.T) {
	got := installerEnv([]string{
		"HOME=/h", "PIP_INDEX_URL=i", "PIP_TARGET=x", "PIP_CONSTRAINT=c", "PYTHONPATH=x", "UV_INDEX=i", "UV_PYTHON_PREFERENCE=x",
		"VIRTUAL_ENV=x", "https_proxy=p", "SSL_CERT_FILE=f", "PIP_REQUIRE_VIRTUALENV=1", "TMPDIR=x",
	}, "/t")
	for _, entry := range got {
		if strings.HasSuffix(entry, "=x") && entry != "TMPDIR=x" {
			t.Errorf("%s was kept", entry)
		}
	}
	for _, entry := range []string{"HOME=/h", "PIP_INDEX_URL=i", "PIP_CONSTRAINT=c", "UV_INDEX=i", "https_proxy=p", "SSL_CERT_FILE=f"} {
		if !slices.Contains(got, entry) {
			t.Errorf("%s was lost", entry)
		}
	}
	if temp := slices.Index(got, "TMPDIR=/t"); temp < slices.Index(got, "TMPDIR=x") { // the last one counts
		t.Errorf("environment: %q", got)
	}
}

func TestUVGoesByPipsEnvironment(t *testing.T) {
	for _, name := range []string{"UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_CERT"} {
		t.Setenv(name, "")
	}
	t.Setenv("PIP_INDEX_URL", "mirror")
	t.Setenv("PIP_EXTRA_INDEX_URL", "not used")
	t.Setenv("UV_EXTRA_INDEX_URL", "own")
	t.Setenv("PIP_FIND_LINKS", "a b")
	t.Setenv("UV_FIND_LINKS", "")
	if diff := cmp.Diff([]string{"UV_DEFAULT_INDEX=mirror", "UV_FIND_LINKS=a,b"}, withPipEnv(nil)); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

func TestFailuresSayWhatToDo(t *testing.T) {
	const noVersion = "ERROR: Could not find a version that satisfies the requirement x (from versions: none)\n"
	for said, want := range map[string]string{
		"WARNING: Retrying after connection broken by 'x'\n" + noVersion:                                       "name a mirror",
		"WARNING: Retrying after connection broken by 'x'\nERROR: No matching distribution (from versions: 1)": "no wheel fits",
		noVersion + "ERROR: No matching distribution found for x\n":                                            "no wheel fits",
		"error: Failed to fetch: http://x/simple/\n  cause: client error (Connect)\n":                          "name a mirror",
		"error: Failed to fetch\n  cause: HTTP status client error (403 Forbidden)":                            "403",
		"ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device":              "make room",
		"ERROR: Exception:\nTraceback (most recent call last):\n" + strings.Repeat("  x\n", 30) + "E: last":    "E: last",
		"\x1b[2J" + strings.Repeat("x", 1000) + "\nERROR: \x1b[31mred":                                         "ERROR:  [31mred",
		"": "exit status 7",
	} {
		tr := &transcript{detail: func(string) {}}
		for _, c := range []byte(said) {
			if _, err := tr.Write([]byte{c}); err != nil {
				t.Fatal(err)
			}
		}
		err := tr.failure("pip", "/nonexistent", requirements{}, errors.New("exit status 7"))
		if !strings.Contains(err.Error(), want) || errors.Is(err, ErrNoIndex) != (want == "name a mirror") {
			t.Errorf("%q: %v; want %q", said, err, want)
		}
		if len(err.Error()) > (mostLines+2)*mostLineBytes || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: %q", said, err)
		}
	}
}

// Where Python has no pip, as on a Debian with python3-venv only, the wheel that
// ensurepip would install does it.
func TestPipFromItsWheel(t *testing.T) {
	links := t.TempDir()
	makeWheel(t, links, "dep", "1.2", "py3-none-any", map[string]string{"dep.py": ""})
	eachInstaller(t, []string{"", "/usr/bin/python3"}, func(t *testing.T, python string) {
		py, err := findPython(context.Background(), python)
		if err != nil {
			t.Fatal(err)
		}
		py.PipDir = ""
		if _, ok := py.pip(); !ok {
			t.Skip("this Python has no ensurepip")
		}
		o := BuildOptions{
			Requirements: []string{"dep"}, FindLinks: []string{links}, NoIndex: true, MaxBytes: DefaultMaxBytes,
			Progress: func(string) {}, Detail: func(string) {},
		}
		want, err := readRequirements(o)
		if err != nil {
			t.Fatal(err)
		}
		dir, err := stageWheels(context.Background(), py, want, t.TempDir(), o)
		if err != nil || !isFile(filepath.Join(dir, "dep.py")) {
			t.Errorf("%q, %v", dir, err)
		}
		py.WheelDir, py.Stdlib = "", nil
		if _, err := stageWheels(context.Background(), py, want, t.TempDir(), o); !strings.Contains(t.Name(), "uv") &&
			(err == nil || !strings.Contains(err.Error(), "python3-pip")) {
			t.Errorf("without any pip: %v", err)
		}
	})
}
