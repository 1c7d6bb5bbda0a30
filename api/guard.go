package api

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"tcid/api/transport"
)

// guard refuses what a web page could send: requests whose Host is not ours,
// which is how DNS rebinding looks, requests with the Origin of a page, and
// those of which the browser says that another site's page has caused them.
// net/http's CrossOriginProtection lets GET and pages on our own host pass, which
// this API has no use for. The Unix socket is out of a browser's reach.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !peerOf(r).unix {
			if enforced("host") && !s.hostAllowed(r.Host) {
				s.fail(w, r, &transport.Error{Status: http.StatusMisdirectedRequest, Type: transport.TypePermission, Code: "host_not_allowed",
					Message: "this daemon does not answer for the host in the request; start it with --allow-host for other names"})
				return
			}
			if origin := r.Header.Get("Origin"); enforced("origin") && (origin != "" || fromOtherSite(r)) && !s.originAllowed(origin) {
				s.fail(w, r, &transport.Error{Status: http.StatusForbidden, Type: transport.TypePermission, Code: "origin_not_allowed",
					Message: "requests from web pages are refused; start the daemon with --allow-host to allow a page's host"})
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// hostAllowed takes loopback names and addresses, and the configured hosts.
func (s *Server) hostAllowed(hostport string) bool {
	host := hostOnly(hostport)
	if host == "localhost" || slices.Contains(s.Hosts, host) {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// originAllowed takes configured hosts only: a page on loopback is still a
// page that somebody else may have written.
func (s *Server) originAllowed(origin string) bool {
	_, host, ok := strings.Cut(origin, "://")
	return ok && slices.Contains(s.Hosts, hostOnly(host))
}

// fromOtherSite looks at what browsers tell about every request, with an Origin
// or without one, such as for the address of a picture.
func fromOtherSite(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site != "" && site != "none" && site != "same-origin"
}

// hostOnly takes the port and the brackets of an IPv6 address away.
func hostOnly(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}
