package gate

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Bounds of connections that are open at the same time.
const (
	MaxUnix          = 4096 // on the Unix socket
	MaxTCP           = 1024
	MaxTCPPerAddress = 128 // from one IPv4 address or one /64 of IPv6
)

const (
	ipv6HostBits = 64          // of an address that one customer has to himself
	refusalLog   = time.Minute // between two lines about refused connections
)

// Limits are what a listener lets in.
type Limits struct {
	Total      int
	PerAddress int  // 0: as many as Total
	Silent     bool // refuse without an answer: the peer expects TLS
}

// Listener lets a bounded number of connections in. What is over is refused at
// once, so that the kernel's queue stays short.
type Listener struct {
	net.Listener
	limits   Limits
	log      *zap.Logger
	refusals chan struct{} // a place for each refusal under way

	mu     sync.Mutex
	total  int
	from   map[netip.Prefix]int
	logged time.Time
}

// Bound lays limits around a listener.
func Bound(l net.Listener, limits Limits, log *zap.Logger) *Listener {
	return &Listener{Listener: l, limits: limits, log: log,
		refusals: make(chan struct{}, maxRefusals), from: map[netip.Prefix]int{}}
}

// Accept returns the next connection that is within the limits.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		network := Network(c.RemoteAddr())
		if l.enter(network) {
			return &conn{Conn: c, release: sync.OnceFunc(func() { l.leave(network) })}, nil
		}
		l.refuse(c)
	}
}

func (l *Listener) enter(network netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if full := l.total >= l.limits.Total || l.limits.PerAddress > 0 && l.from[network] >= l.limits.PerAddress; full && bounded() {
		if now := time.Now(); now.Sub(l.logged) >= refusalLog {
			l.logged = now
			fields := []zap.Field{zap.Stringer("listener", l.Addr()), zap.Int("open", l.total)}
			if network.IsValid() { // it has none on the Unix socket
				fields = append(fields, zap.Stringer("from", network), zap.Int("from_there", l.from[network]))
			}
			l.log.Warn("refusing connections: too many are open", fields...)
		}
		return false
	}
	l.total++
	l.from[network]++
	return true
}

func (l *Listener) leave(network netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.from[network]--; l.from[network] == 0 {
		delete(l.from, network)
	}
}

// Network is what counts as one place that requests come from: an IPv4 address
// or a /64 of IPv6, of which one host has all addresses. Peers on a Unix socket
// have the zero value.
func Network(addr net.Addr) netip.Prefix {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = ipv6HostBits
	}
	network, _ := ip.Prefix(bits) // fails for more bits than there are only
	return network
}
