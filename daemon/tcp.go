package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"tcid/api"
	"tcid/api/gate"
)

const resolveTimeout = 5 * time.Second

// completeTCP fills in the settings of the TCP listener and checks them.
func (c Config) completeTCP() (Config, error) {
	if c.Listen == "" {
		switch {
		case c.KeyFile != "":
			return c, errors.New("a key file is of no use without --listen: the Unix socket knows its callers by their user id")
		case c.TLSCert != "" || c.TLSKey != "":
			return c, errors.New("a TLS certificate is of no use without --listen: the Unix socket has no TLS")
		case c.InsecureListen:
			return c, errors.New("--insecure-listen is of no use without --listen")
		}
		return c, nil
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return c, fmt.Errorf("listen: want HOST:PORT, such as 127.0.0.1:8787: %w", err)
	}
	if c.KeyFile == "" {
		c.KeyFile = filepath.Join(c.DataDir, secretsDir, keyFileName)
	}
	switch {
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return c, errors.New("--tls-cert and --tls-key go together: give both files, or neither")
	case c.TLSCert != "" && c.InsecureListen:
		return c, errors.New("--insecure-listen is for listening without TLS: leave it out, or --tls-cert and --tls-key")
	case c.MaxPerAddress < 0 || c.MaxPerAddress > gate.MaxTCP:
		return c, fmt.Errorf("max-connections-per-address: want 1 to %d", gate.MaxTCP)
	case c.MaxPerAddress == 0:
		c.MaxPerAddress = gate.MaxTCPPerAddress
	}
	if c.mayBeInTheClear() {
		return c, nil
	}
	local, err := isLoopback(host)
	if err != nil {
		return c, err
	}
	if !local {
		return c, inTheClearError(c.Listen)
	}
	return c, nil
}

// mayBeInTheClear tells whether other hosts may reach the listener.
func (c Config) mayBeInTheClear() bool { return c.TLSCert != "" || c.InsecureListen }

func inTheClearError(address string) error {
	return fmt.Errorf("listen: %s can be reached from other hosts, where API keys and code would be readable on the way: "+
		"give --tls-cert and --tls-key, or listen on 127.0.0.1 behind a proxy that has TLS; --insecure-listen does it all the same", address)
}

// isLoopback tells whether only this host reaches a listener on host. No host
// means all addresses.
func isLoopback(host string) (bool, error) {
	if host == "" {
		return false, nil
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.IsLoopback(), nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return false, fmt.Errorf("listen: find the address of %q; give a number instead: %w", host, err)
	}
	for _, addr := range addrs {
		if !addr.IsLoopback() {
			return false, nil
		}
	}
	return len(addrs) > 0, nil
}

// listenTCP adds the TCP listener, if there is to be one.
func (d *Daemon) listenTCP(options api.Options) error {
	if d.cfg.Listen == "" {
		return nil
	}
	keys, err := d.loadKeys()
	if err != nil {
		return err
	}
	options.Keys = keys
	d.keys.Store(keys)
	log := d.log.Named("tcp")
	var certificate *gate.Certificate
	if d.cfg.TLSCert != "" {
		if certificate, err = gate.LoadCertificate(d.cfg.TLSCert, d.cfg.TLSKey, log); err != nil {
			return err
		}
	}
	l, err := net.Listen("tcp", d.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", d.cfg.Listen, err)
	}
	// A name may have led elsewhere than before.
	if at, ok := l.Addr().(*net.TCPAddr); !d.cfg.mayBeInTheClear() && (!ok || !at.IP.IsLoopback()) {
		return errors.Join(inTheClearError(l.Addr().String()), l.Close())
	}
	d.log.Info("listening for TCP", zap.String("address", l.Addr().String()), zap.Bool("tls", certificate != nil))
	l = gate.Bound(l, gate.Limits{Total: gate.MaxTCP, PerAddress: d.cfg.MaxPerAddress, Silent: certificate != nil}, log)
	if certificate != nil {
		l = tls.NewListener(l, certificate.Config())
	}
	d.add(api.NewServer(options), l)
	return nil
}
