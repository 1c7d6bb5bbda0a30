package gate

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

const certificateCheck = time.Second // between two looks at the files

// Certificate is a certificate with its key in two PEM files, which may be
// replaced at any time.
type Certificate struct {
	certFile, keyFile string
	log               *zap.Logger

	mu      sync.Mutex
	current *tls.Certificate
	seen    [2]stamp
	checked time.Time
}

// stamp tells one content of a file from another.
type stamp struct {
	modified time.Time
	size     int64
	file     os.FileInfo // for os.SameFile
}

func (s stamp) same(o stamp) bool {
	return s.modified.Equal(o.modified) && s.size == o.size && os.SameFile(s.file, o.file)
}

// LoadCertificate reads both files.
func LoadCertificate(certFile, keyFile string, log *zap.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: log}
	seen, err := c.stamps()
	if err == nil {
		err = c.load()
	}
	if err != nil {
		return nil, err
	}
	c.seen, c.checked = seen, time.Now()
	return c, nil
}

// Config is for TLS with this certificate. HTTP/2 is not offered: the
// connection's deadlines, by which slow peers are given up, count for all of
// its requests together there.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(time.Now()), nil },
	}
}

// get returns the certificate, read again if the files have changed. Files that
// can't be used, such as one that has been replaced before the other, leave the
// certificate as it is.
func (c *Certificate) get(now time.Time) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.checked) < certificateCheck {
		return c.current
	}
	c.checked = now
	// The stamps are older than what is read, never newer.
	seen, err := c.stamps()
	if err == nil && seen[0].same(c.seen[0]) && seen[1].same(c.seen[1]) {
		return c.current
	}
	if err != nil && c.seen == [2]stamp{} {
		return c.current // said already
	}
	c.seen = seen
	if err == nil {
		err = c.load()
	}
	if err != nil {
		c.log.Error("the new TLS certificate can't be used; going on with the old one", zap.Error(err))
	} else {
		c.log.Info("read the TLS certificate again", zap.String("file", c.certFile), zap.Time("valid_until", c.current.Leaf.NotAfter))
	}
	return c.current
}

func (c *Certificate) stamps() (seen [2]stamp, err error) {
	for i, path := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(path)
		if err != nil {
			return [2]stamp{}, fmt.Errorf("look at a file of the TLS certificate: %w", err)
		}
		seen[i] = stamp{info.ModTime(), info.Size(), info}
	}
	return seen, nil
}

func (c *Certificate) load() error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("read the TLS certificate %s with its key %s: %w", c.certFile, c.keyFile, err)
	}
	if c.current == nil && time.Now().After(pair.Leaf.NotAfter) {
		c.log.Warn("the TLS certificate has run out; clients will refuse it", zap.Time("valid_until", pair.Leaf.NotAfter))
	}
	c.current = &pair
	return nil
}
