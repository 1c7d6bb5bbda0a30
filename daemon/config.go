package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"tcid/api/tci"
	"tcid/daemon/session"
	"tcid/sandbox/container"
	"tcid/sandbox/host"
)

// Defaults; a unit file and the command line agree on them.
const (
	DefaultStateDir = "/run/tcid"
	DefaultDataDir  = "/var/lib/tcid"
	DefaultSocket   = "/run/tcid/tcid.sock"
	DefaultGroup    = "tcid"
	socketName      = "tcid.sock"
	keyFileName     = "keys"
	secretsDir      = "secrets"
	idLockDir       = "/run/tcid-ids"
	cgroupName      = "tcid"
)

// Config is what a daemon is started with. The zero value of a field means
// its default.
type Config struct {
	Socket     string   `yaml:"socket"`      // Unix socket; default tcid.sock in the state directory
	Listen     string   `yaml:"listen"`      // HOST:PORT for TCP; empty: none
	KeyFile    string   `yaml:"key_file"`    // API keys for TCP; default in the data directory
	StateDir   string   `yaml:"state_dir"`   // default /run/tcid
	DataDir    string   `yaml:"data_dir"`    // default /var/lib/tcid
	AllowHosts []string `yaml:"allow_hosts"` // Host values that TCP requests may name
	LogLevel   string   `yaml:"log_level"`   // debug, info, warn, error
	// AcceptWeaknesses names what the host may lack or be weak in; see package
	// sandbox/host for the names.
	AcceptWeaknesses []string `yaml:"accept_weaknesses"`

	TLSCert        string `yaml:"tls_cert"`                    // PEM file for TCP; goes with TLSKey
	TLSKey         string `yaml:"tls_key"`                     // PEM file
	InsecureListen bool   `yaml:"insecure_listen"`             // TCP without TLS where other hosts reach it
	MaxPerAddress  int    `yaml:"max_connections_per_address"` // TCP connections; default gate.MaxTCPPerAddress

	// The routes of Together's Code Interpreter; see package api/tci.
	TCISessionTTL    float64 `yaml:"tci_session_ttl"`    // seconds; default 1800
	TCITimeout       float64 `yaml:"tci_timeout"`        // seconds, of one run; default 120
	TCISessionErrors int     `yaml:"tci_session_errors"` // 200 (default) or 404
	TCINoDataErrors  bool    `yaml:"tci_no_data_errors"` // leaves data.errors out

	// Pool is how many sandboxes are kept ready at most, of one image and one set of
	// limits; nil: container.DefaultPool(), 0: none.
	Pool *int `yaml:"pool"`

	// Ephemeral ends all sessions with the daemon and removes its state. Until
	// sessions can outlive a daemon, all do end with it.
	Ephemeral bool `yaml:"ephemeral"`
}

// DefaultPool is how many sandboxes are kept ready at most where nothing is said.
func DefaultPool() int { return container.DefaultPool() }

// LoadConfig reads a YAML file. An unknown key is an error that shows the line.
func LoadConfig(path string) (Config, error) {
	var c Config
	text, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("read the configuration: %w", err)
	}
	if err := yaml.UnmarshalWithOptions(text, &c, yaml.Strict()); err != nil {
		return c, fmt.Errorf("read the configuration %s:\n%s", path, yaml.FormatError(err, false, true))
	}
	return c, nil
}

// Complete fills in defaults and checks the result.
func (c Config) Complete() (Config, error) {
	for _, d := range []struct {
		value    *string
		fallback string
	}{{&c.StateDir, DefaultStateDir}, {&c.DataDir, DefaultDataDir}, {&c.LogLevel, "info"}} {
		if *d.value == "" {
			*d.value = d.fallback
		}
	}
	for _, dir := range []*string{&c.StateDir, &c.DataDir} {
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return c, fmt.Errorf("find the absolute path of %s: %w", *dir, err)
		}
		*dir = abs
	}
	if strings.ContainsAny(c.DataDir, ":,\\") {
		return c, fmt.Errorf("the data directory %s has a ':', ',' or '\\' in its path, which overlay mounts can't take", c.DataDir)
	}
	if c.Socket == "" {
		c.Socket = filepath.Join(c.StateDir, socketName)
	}
	c, err := c.completeTCP()
	if err != nil {
		return c, err
	}
	if c.Pool == nil {
		most := container.DefaultPool()
		c.Pool = &most
	}
	if *c.Pool < 0 || *c.Pool > container.MaxPool {
		return c, fmt.Errorf("pool: want 0 to %d sandboxes, not %d", container.MaxPool, *c.Pool)
	}
	if _, err := c.tciSettings(); err != nil {
		return c, err
	}
	if err := host.KnownIDs(c.AcceptWeaknesses); err != nil {
		return c, fmt.Errorf("accept-weakness: %w", err)
	}
	for i, h := range c.AllowHosts {
		c.AllowHosts[i] = strings.ToLower(strings.TrimSpace(h))
		if c.AllowHosts[i] == "" || strings.ContainsAny(h, "/ ") {
			return c, fmt.Errorf("allow-host: %q is not a host name", h)
		}
	}
	return c, nil
}

// tciSettings checks the settings of the routes of Together's Code Interpreter.
func (c Config) tciSettings() (tci.Settings, error) {
	s := tci.Settings{NotFoundStatus: c.TCISessionErrors, NoDataErrors: c.TCINoDataErrors}
	if e := c.TCISessionErrors; e != 0 && e != http.StatusOK && e != http.StatusNotFound {
		return s, fmt.Errorf("tci-session-errors: %d is neither 200 nor 404", e)
	}
	for _, d := range []struct {
		name    string
		seconds float64
		most    time.Duration
		to      *time.Duration
	}{
		{"tci-session-ttl", c.TCISessionTTL, session.MaxLifetime, &s.SessionTTL},
		{"tci-timeout", c.TCITimeout, session.DefaultConfig().MaxExecTimeout, &s.ExecTimeout},
	} {
		if math.IsNaN(d.seconds) || d.seconds < 0 || d.seconds > d.most.Seconds() {
			return s, fmt.Errorf("%s: want a number of seconds up to %.0f", d.name, d.most.Seconds())
		}
		*d.to = time.Duration(d.seconds * float64(time.Second))
	}
	return s, nil
}

// CgroupPath is the daemon's own cgroup where no systemd manages them.
func (c Config) CgroupPath() string { return "/" + c.instance() }

// scopeUnit is the systemd scope that the sessions live in.
func (c Config) scopeUnit() string { return c.instance() + "-sessions.scope" }

// instance tells daemons apart that run side by side, which have different
// state directories.
func (c Config) instance() string {
	if c.StateDir == DefaultStateDir {
		return cgroupName
	}
	sum := sha256.Sum256([]byte(c.StateDir))
	return cgroupName + "-" + hex.EncodeToString(sum[:6])
}
