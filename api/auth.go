package api

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"tcid/api/gate"
	"tcid/api/transport"
	"tcid/daemon/session"
)

const (
	minKeyLength = 16
	maxKeyLength = 512
	newKeyBytes  = 24
)

// Keys are the API keys for TCP. Only their digests are kept. They can be
// replaced while requests come in.
type Keys struct {
	digests atomic.Pointer[[]keyDigest]
}

type keyDigest struct {
	name   string
	digest [sha256.Size]byte
}

// ParseKeys reads a key file: one key per line, or a name, a space and a key;
// empty lines and lines that begin with '#' are skipped. A key has at least 16
// characters. Sessions belong to the name, so that a key can be exchanged; until
// all clients have the new one, a name may have both.
func ParseKeys(r io.Reader) (*Keys, error) {
	var all []keyDigest
	taken := map[[sha256.Size]byte]bool{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		key := fields[len(fields)-1]
		digest := sha256.Sum256([]byte(key))
		name := hex.EncodeToString(digest[:6])
		if len(fields) == 2 {
			name = fields[0]
		}
		switch {
		case len(fields) > 2:
			return nil, fmt.Errorf("key file line %d: want \"KEY\" or \"NAME KEY\"", n)
		case len(key) < minKeyLength || len(key) > maxKeyLength:
			return nil, fmt.Errorf("key file line %d: a key has %d to %d characters", n, minKeyLength, maxKeyLength)
		case taken[digest]:
			return nil, fmt.Errorf("key file line %d: the key appears twice", n)
		}
		taken[digest] = true
		all = append(all, keyDigest{name, digest})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the key file: %w", err)
	}
	if len(all) == 0 {
		return nil, errors.New("the key file holds no key")
	}
	k := &Keys{}
	k.digests.Store(&all)
	return k, nil
}

// LoadKeys reads the key file at path.
func LoadKeys(path string) (*Keys, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the key file: %w", err)
	}
	defer f.Close()
	return ParseKeys(f)
}

// Reload reads the key file again. When that fails, the keys stay as they are.
func (k *Keys) Reload(path string) error {
	read, err := LoadKeys(path)
	if err != nil {
		return err
	}
	k.digests.Store(read.digests.Load())
	return nil
}

// Count returns how many keys there are.
func (k *Keys) Count() int { return len(*k.digests.Load()) }

// CreateKeyFile writes a file with one new key, readable by root only. It
// leaves an existing one alone.
func CreateKeyFile(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make a key file: %w", err)
	}
	secret := make([]byte, newKeyBytes)
	_, _ = rand.Read(secret) // never fails since Go 1.24
	_, err = fmt.Fprintf(f, "default tci_%s\n", hex.EncodeToString(secret))
	return errors.Join(err, f.Close())
}

// principal finds whose key it is. It looks at every key, so that the time
// tells nothing.
func (k *Keys) principal(key string) (session.Principal, bool) {
	digest := sha256.Sum256([]byte(key))
	name, found := "", 0
	for _, d := range *k.digests.Load() {
		if subtle.ConstantTimeCompare(d.digest[:], digest[:]) == 1 {
			name, found = d.name, 1
		}
	}
	return session.Principal{ID: "key:" + name}, found == 1
}

type peerKey struct{}

// peer is what a connection tells about who is at its other end.
type peer struct {
	unix    bool
	uid     uint32
	network netip.Prefix // of a TCP peer
	err     error
}

// connContext looks at a new connection: on the Unix socket, the kernel says
// which user it comes from.
func connContext(ctx context.Context, c net.Conn) context.Context {
	p := peer{network: gate.Network(c.RemoteAddr())}
	for { // below TLS and the gate's bounds
		outer, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		c = outer.NetConn()
	}
	if u, ok := c.(*net.UnixConn); ok {
		p.unix = true
		raw, err := u.SyscallConn()
		if err == nil {
			p.err = raw.Control(func(fd uintptr) {
				cred, credErr := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
				if credErr != nil {
					err = credErr
					return
				}
				p.uid = cred.Uid
			})
		}
		p.err = errors.Join(p.err, err)
	}
	return context.WithValue(ctx, peerKey{}, p)
}

func peerOf(r *http.Request) peer {
	p, _ := r.Context().Value(peerKey{}).(peer)
	return p
}

// authenticate finds the principal, or refuses. /healthz is for everybody.
func (s *Server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			next.ServeHTTP(w, r)
			return
		}
		p, err := s.identify(r)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		next.ServeHTTP(w, transport.WithCaller(r, p))
	})
}

func (s *Server) identify(r *http.Request) (session.Principal, error) {
	from := peerOf(r)
	if from.err != nil {
		return session.Principal{}, fmt.Errorf("ask who is at the other end: %w", from.err)
	}
	if from.unix { // a bearer that is sent along is not looked at
		return session.Principal{ID: "uid:" + strconv.FormatUint(uint64(from.uid), 10), Admin: from.uid == 0}, nil
	}
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") && s.Keys != nil {
		if p, ok := s.Keys.principal(strings.TrimSpace(key)); ok {
			return p, nil
		}
	}
	return session.Principal{}, telling(key, s.wrongKey(from.network))
}

// wrongKey refuses a request without a right key, and all further ones of that
// kind from a place that has sent many. A right key is never held up: behind one
// address there may be others than the one who guesses.
func (s *Server) wrongKey(from netip.Prefix) error {
	wait, first := s.guesses.add(from, time.Now())
	if first {
		s.Log.Warn("a request over TCP has a wrong API key or none; more of them within the next minute are not logged",
			zap.Stringer("from", from))
	}
	if wait > 0 && enforced("guesses") {
		return &transport.Error{Status: http.StatusTooManyRequests, Type: transport.TypeRateLimit, Code: "too_many_failures", RetryAfter: wait,
			Message: "too many requests with a missing or wrong API key came from your address; send a right key, or wait"}
	}
	return &transport.Error{Status: http.StatusUnauthorized, Type: transport.TypeAuth, Code: "invalid_api_key",
		Message: "the API key is missing or wrong; send \"Authorization: Bearer KEY\" with a key of the daemon's key file"}
}
