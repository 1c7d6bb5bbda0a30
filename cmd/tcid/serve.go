package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"tcid/api/gate"
	"tcid/daemon"
)

// sameSignal is how long after the first signal others belong to it.
const sameSignal = time.Second

func newServeCommand() *cobra.Command {
	var flags daemon.Config
	var configFile string
	var pool int
	var untilEOF bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon",
		Long: `Run the daemon in the foreground until SIGTERM or Ctrl-C, which end all
sessions. A second signal, a second later or more, ends it at once.

Settings come from the file named by --config (YAML; the keys are the flags'
names with '_' for '-'), then from the environment (TCID_SOCKET, TCID_LISTEN,
TCID_KEY_FILE, TCID_TLS_CERT, TCID_TLS_KEY, TCID_STATE_DIR, TCID_DATA_DIR,
TCID_LOG_LEVEL, TCID_ACCEPT_WEAKNESS, TCID_POOL), then from the flags; the last one wins.

A host that lacks what sandboxes need is refused ("tcid doctor" tells more), but
for what --accept-weakness names.

SIGHUP reads the key file again; a changed TLS certificate is noticed.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			flags.Pool = &pool
			cfg, err := serveConfig(cmd, configFile, flags)
			if err != nil {
				return usageError{err}
			}
			return serve(cmd.Context(), cfg, untilEOF)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.Socket, "socket", "", "Unix socket to listen on (default tcid.sock in the state directory)")
	f.StringVar(&flags.Listen, "listen", "", "HOST:PORT to listen on for TCP; needs API keys (default: no TCP)")
	f.StringVar(&flags.KeyFile, "key-file", "", "API keys for TCP, one per line (default: a file in the data directory, made when missing)")
	f.StringVar(&flags.TLSCert, "tls-cert", "", "certificate for TCP with its chain, a PEM file; goes with --tls-key")
	f.StringVar(&flags.TLSKey, "tls-key", "", "key of the certificate, a PEM file")
	f.BoolVar(&flags.InsecureListen, "insecure-listen", false, "listen without TLS on an address that other hosts reach")
	f.IntVar(&flags.MaxPerAddress, "max-connections-per-address", 0, fmt.Sprintf("TCP connections from one address (default %d)", gate.MaxTCPPerAddress))
	f.StringVar(&flags.StateDir, "state-dir", "", "directory for state that dies with the boot (default "+daemon.DefaultStateDir+")")
	f.StringVar(&flags.DataDir, "data-dir", "", "directory for images and keys (default "+daemon.DefaultDataDir+")")
	f.StringVar(&configFile, "config", "", "YAML file with these settings")
	f.StringSliceVar(&flags.AllowHosts, "allow-host", nil, "further host names that TCP requests may name (repeatable)")
	f.StringSliceVar(&flags.AcceptWeaknesses, "accept-weakness", nil, "start although the host lacks this, or don't warn of it (repeatable)")
	f.IntVar(&pool, "pool", 0, fmt.Sprintf("sandboxes kept ready at most, of one kind; 0 for none (default %d)", daemon.DefaultPool()))
	f.BoolVar(&flags.Ephemeral, "ephemeral", false, "leave nothing in the state directory")
	f.BoolVar(&untilEOF, "until-stdin-ends", false, "stop when standard input ends, for programs that start a daemon of their own")
	f.Float64Var(&flags.TCISessionTTL, "tci-session-ttl", 0, "seconds that sessions of Together's clients live (default 1800)")
	f.Float64Var(&flags.TCITimeout, "tci-timeout", 0, "seconds that a run of Together's clients may take (default 120)")
	f.IntVar(&flags.TCISessionErrors, "tci-session-errors", 0, "status for Together's clients when a session is gone: 200 or 404 (default 200)")
	f.BoolVar(&flags.TCINoDataErrors, "tci-no-data-errors", false, "leave data.errors out of answers to Together's clients")
	f.StringVar(&flags.LogLevel, "log-level", "", "debug, info, warn or error (default info)")
	return cmd
}

// serveConfig lays flags over the environment over the file.
func serveConfig(cmd *cobra.Command, configFile string, flags daemon.Config) (daemon.Config, error) {
	var cfg daemon.Config
	if configFile != "" {
		var err error
		if cfg, err = daemon.LoadConfig(configFile); err != nil {
			return cfg, err
		}
	}
	for _, setting := range []struct {
		name, env string
		from, to  *string
	}{
		{"socket", "TCID_SOCKET", &flags.Socket, &cfg.Socket},
		{"listen", "TCID_LISTEN", &flags.Listen, &cfg.Listen},
		{"key-file", "TCID_KEY_FILE", &flags.KeyFile, &cfg.KeyFile},
		{"tls-cert", "TCID_TLS_CERT", &flags.TLSCert, &cfg.TLSCert},
		{"tls-key", "TCID_TLS_KEY", &flags.TLSKey, &cfg.TLSKey},
		{"state-dir", "TCID_STATE_DIR", &flags.StateDir, &cfg.StateDir},
		{"data-dir", "TCID_DATA_DIR", &flags.DataDir, &cfg.DataDir},
		{"log-level", "TCID_LOG_LEVEL", &flags.LogLevel, &cfg.LogLevel},
	} {
		if value := os.Getenv(setting.env); value != "" {
			*setting.to = value
		}
		if cmd.Flags().Changed(setting.name) {
			*setting.to = *setting.from
		}
	}
	if value := os.Getenv("TCID_POOL"); value != "" {
		n, err := strconv.Atoi(value)
		if err != nil {
			return cfg, fmt.Errorf("TCID_POOL: %q is not a number", value)
		}
		cfg.Pool = &n
	}
	if value := os.Getenv("TCID_ACCEPT_WEAKNESS"); value != "" {
		cfg.AcceptWeaknesses = strings.Split(value, ",")
	}
	for name, set := range map[string]func(){
		"accept-weakness":             func() { cfg.AcceptWeaknesses = flags.AcceptWeaknesses },
		"allow-host":                  func() { cfg.AllowHosts = flags.AllowHosts },
		"ephemeral":                   func() { cfg.Ephemeral = flags.Ephemeral },
		"pool":                        func() { cfg.Pool = flags.Pool },
		"insecure-listen":             func() { cfg.InsecureListen = flags.InsecureListen },
		"max-connections-per-address": func() { cfg.MaxPerAddress = flags.MaxPerAddress },
		"tci-session-ttl":             func() { cfg.TCISessionTTL = flags.TCISessionTTL },
		"tci-timeout":                 func() { cfg.TCITimeout = flags.TCITimeout },
		"tci-session-errors":          func() { cfg.TCISessionErrors = flags.TCISessionErrors },
		"tci-no-data-errors":          func() { cfg.TCINoDataErrors = flags.TCINoDataErrors },
	} {
		if cmd.Flags().Changed(name) {
			set()
		}
	}
	return cfg.Complete()
}

func serve(ctx context.Context, cfg daemon.Config, untilEOF bool) error {
	log, err := newLogger(cfg.LogLevel)
	if err != nil {
		return usageError{err}
	}
	defer func() { _ = log.Sync() }()
	if err := daemon.EnterPrivateMounts(cfg.DataDir, log); err != nil {
		// The host's report knows better why.
		if lacks := daemon.Inspect(cfg).Lacks(cfg.AcceptWeaknesses); lacks != nil {
			return lacks
		}
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	go func() {
		sig := <-signals
		stop(errors.New("got " + sig.String()))
		// timeout(1) and terminals signal a process and its group: that is one wish.
		for begun := time.Now(); time.Since(begun) < sameSignal; {
			<-signals
		}
		log.Warn("got a second signal; leaving at once, the next start sweeps up")
		os.Exit(exitInterrupted)
	}()
	if untilEOF {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop(errors.New("standard input ended"))
		}()
	}
	return daemon.Run(ctx, cfg, log)
}

// newLogger writes lines for people to a terminal and JSON to anything else.
func newLogger(level string) (*zap.Logger, error) {
	at, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("log-level: %w", err)
	}
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.ISO8601TimeEncoder
	encoder := zapcore.NewJSONEncoder(encoding)
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		encoder = zapcore.NewConsoleEncoder(encoding)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(os.Stderr), at)), nil
}
