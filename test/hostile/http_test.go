package hostile

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tcid/api/client"
	"tcid/api/transport"
	v1 "tcid/api/v1"
	"tcid/test/rawhttp"
)

const (
	aliceKey = "0123456789abcdef-alice"
	bobKey   = "0123456789abcdef-bob"

	version  = "GET /v1/version HTTP/1.1\r\n"
	create   = "POST /v1/sessions HTTP/1.1\r\n"
	asAlice  = "Host: localhost\r\nAuthorization: Bearer " + aliceKey + "\r\n"
	asBob    = "Host: localhost\r\nAuthorization: Bearer " + bobKey + "\r\n"
	jsonBody = "Content-Type: application/json\r\n"

	soon = 12 * time.Second // by when a slow request must have its answer, or its end
	// stalled is longer than a peer may take for a piece, which it is 30 s.
	stalled = 36 * time.Second
	// crowd is more than one address may have connections.
	crowd = 129
)

// target is a daemon that listens on TCP and knows two users.
type target struct {
	d       *daemon
	address string
	from    string // this attack's own address on loopback
}

// request is an attack over HTTP. run says what it got, or "".
type request struct {
	name, about, weaken string
	run                 func(g *target) (string, error)
}

// answered makes an attack of one request, which succeeds with any of the statuses.
func answered(text string, statuses ...int) func(g *target) (string, error) {
	return func(g *target) (string, error) {
		r, err := g.ask(text)
		if err != nil {
			return "", err
		}
		for _, s := range statuses {
			if r.Status == s {
				return fmt.Sprintf("the answer is %d: %.100s", r.Status, r.Body), nil
			}
		}
		return "", nil
	}
}

func body(text string) string {
	return "Content-Length: " + strconv.Itoa(len(text)) + "\r\n\r\n" + text
}

var requests = []request{
	{"rebinding", "Asks in the name of a host that leads here, as a page does after DNS rebinding.", "host",
		answered(version+strings.Replace(asAlice, "localhost", "evil.example", 1)+"\r\n", 200)},
	{"rebinding_absolute", "Asks for another host's address.", "host",
		answered("GET http://evil.example/v1/version HTTP/1.1\r\n"+asAlice+"\r\n", 200)},
	{"other_origin", "Asks from another site's page.", "origin",
		answered(version+asAlice+"Origin: https://evil.example\r\n\r\n", 200)},
	{"picture", "Asks for the address of a picture in another site's page.", "origin",
		answered(version+asAlice+"Sec-Fetch-Site: cross-site\r\n\r\n", 200)},
	{"form", "Makes a session with what a page's form may send.", "mediatype",
		answered(create+asAlice+"Content-Type: text/plain\r\n"+body("{}"), 201)},
	{"rest", "Hides a second value behind the first one of a body.", "strict",
		answered(create+asAlice+jsonBody+body(`{} {"timeout": 1}`), 201)},
	{"twice", "Says one name twice, for two readers to read two things.", "strict",
		answered(create+asAlice+jsonBody+body(`{"isolation": "fork", "isolation": "fresh"}`), 201)},
	{"giant_header", "Sends a header of 2 MiB.", "headers",
		answered(version+asAlice+"X: "+strings.Repeat("x", 2<<20)+"\r\n\r\n", 200)},
	{"slow_header", "Sends a header a byte a second, and holds its connection so.", "headers", slow(version + "X: ")},
	{"slow_body", "Sends a body a byte a second without a key, and holds its connection so.", "unread",
		slow(create + "Host: localhost\r\n" + jsonBody + "Content-Length: 100000\r\n\r\n")},
	{"endless_body", "Sends a body without end.", "body", endless},
	{"guesses", "Guesses keys.", "guesses", guess},
	{"near_guesses", "Learns from the answer how near a guess is.", "alike", nearGuess},
	{"crowd", "Takes all connections from one address.", "connections", crowded},
	{"smuggled", "Hides a request in the body of another, by two lengths.", "smuggling", smuggle},
	{"stalled", "Takes nothing of a large answer, and holds it so.", "stall", stall},
	{"look", "Looks at another user's session.", "owner", withSession("GET /v1/sessions/%s HTTP/1.1\r\n"+asBob+"\r\n", 200)},
	{"read", "Reads another user's file.", "owner", withSession("GET /v1/sessions/%s/files/secret HTTP/1.1\r\n"+asBob+"\r\n", 200)},
	{"run", "Runs code in another user's session.", "owner",
		withSession("POST /v1/sessions/%s/executions HTTP/1.1\r\n"+asBob+jsonBody+body(`{"code":"1"}`), 200, 201)},
	{"end", "Ends another user's session.", "owner", withSession("DELETE /v1/sessions/%s HTTP/1.1\r\n"+asBob+"\r\n", 200, 204)},
}

// withSession asks for a session of alice's that holds a secret.
func withSession(text string, statuses ...int) func(g *target) (string, error) {
	return func(g *target) (string, error) {
		id, err := g.session("secret", strings.NewReader(secret))
		if err != nil {
			return "", err
		}
		return answered(fmt.Sprintf(text, id), statuses...)(g)
	}
}

// session makes one of alice's, with a file.
func (g *target) session(name string, content io.Reader) (id string, err error) {
	alice := client.New(client.Options{URL: "http://" + g.address, Key: aliceKey, Retries: -1})
	defer alice.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := alice.CreateSession(ctx, v1.SessionSpec{})
	if err == nil {
		_, err = alice.Upload(ctx, s.ID, name, content, client.UploadOptions{})
	}
	return s.ID, err
}

// slow sends text and then a byte a second: it succeeds when there is neither an
// answer nor an end.
func slow(text string) func(g *target) (string, error) {
	return func(g *target) (string, error) {
		c, err := g.dial(soon)
		if err != nil {
			return "", err
		}
		defer c.Close()
		go func() {
			_, err := io.WriteString(c, text)
			for err == nil {
				time.Sleep(time.Second)
				_, err = io.WriteString(c, "1")
			}
		}()
		_, err = c.Read(make([]byte, 1))
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() { //nolint:errorlint // net's own
			return fmt.Sprintf("the connection is open after %v", soon), nil
		}
		return "", nil
	}
}

func endless(g *target) (string, error) {
	c, err := g.dial(2 * soon)
	if err != nil {
		return "", err
	}
	defer c.Close()
	go func() {
		piece := strings.Repeat(" ", 1<<16)
		_, err := io.WriteString(c, create+asAlice+jsonBody+"Transfer-Encoding: chunked\r\n\r\n")
		for n := 0; n < transport.MaxJSONBody+8<<20 && err == nil; n += len(piece) {
			_, err = io.WriteString(c, "10000\r\n"+piece+"\r\n")
		}
		_, _ = io.WriteString(c, "0\r\n\r\n")
	}()
	r, err := rawhttp.Read(bufio.NewReader(c), http.MethodPost)
	if err != nil || r.Status == http.StatusRequestEntityTooLarge {
		return "", err
	}
	return fmt.Sprintf("a body of more than %d bytes is answered with %d", transport.MaxJSONBody, r.Status), nil
}

func guess(g *target) (string, error) {
	c, err := g.dial(2 * soon)
	if err != nil {
		return "", err
	}
	defer c.Close()
	r := bufio.NewReader(c)
	const guesses = 150
	for n := range guesses {
		if _, err := fmt.Fprintf(c, "%sHost: localhost\r\nAuthorization: Bearer guess-0123456789-%d\r\n\r\n", version, n); err != nil {
			return "", err
		}
		got, err := rawhttp.Read(r, http.MethodGet)
		if err != nil || got.Status == http.StatusTooManyRequests {
			return "", err
		}
	}
	return fmt.Sprintf("%d guesses are answered", guesses), nil
}

func nearGuess(g *target) (string, error) {
	answers := map[string]bool{}
	for _, key := range []string{"x", aliceKey[:len(aliceKey)-1] + "x", strings.Repeat("x", len(aliceKey))} {
		got, err := g.ask(version + "Host: localhost\r\nAuthorization: Bearer " + key + "\r\n\r\n")
		if err != nil {
			return "", err
		}
		_, without, _ := strings.Cut(got.Body, `"message"`)
		text, _, _ := strings.Cut(without, `"request_id"`)
		answers[strconv.Itoa(got.Status)+text] = true
	}
	if len(answers) > 1 {
		return fmt.Sprintf("wrong keys have %d different answers", len(answers)), nil
	}
	return "", nil
}

func crowded(g *target) (string, error) {
	var last net.Conn
	for range crowd {
		c, err := g.dial(2 * soon)
		if err != nil {
			return "", err
		}
		defer c.Close()
		last = c
	}
	if _, err := io.WriteString(last, version+asAlice+"\r\n"); err != nil {
		return "", nil //nolint:nilerr // it has been refused
	}
	got, err := rawhttp.Read(bufio.NewReader(last), http.MethodGet)
	if err == nil && got.Status == http.StatusOK {
		return fmt.Sprintf("%d connections from one address", crowd), nil
	}
	return "", nil
}

func smuggle(g *target) (string, error) {
	c, err := g.dial(soon)
	if err != nil {
		return "", err
	}
	defer c.Close()
	hidden := version + asAlice + "\r\n"
	text := "POST /v9 HTTP/1.1\r\n" + asAlice + "Transfer-Encoding: chunked\r\nContent-Length: " + strconv.Itoa(len(hidden)+5) + "\r\n\r\n0\r\n\r\n"
	if _, err := io.WriteString(c, text+hidden); err != nil {
		return "", err
	}
	r := bufio.NewReader(c)
	if _, err := rawhttp.Read(r, http.MethodPost); err != nil {
		return "", err
	}
	if got, err := rawhttp.Read(r, http.MethodGet); err == nil && got.Status == http.StatusOK {
		return "the request in the body is answered", nil
	}
	return "", nil
}

const largeFile = 32 << 20

func stall(g *target) (string, error) {
	c, err := g.dial(2 * stalled)
	if err != nil {
		return "", err
	}
	defer c.Close()
	id, err := g.session("large", io.LimitReader(zeros{}, largeFile))
	if err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, "GET /v1/sessions/"+id+"/files/large HTTP/1.1\r\n"+asAlice+"\r\n"); err != nil {
		return "", err
	}
	time.Sleep(stalled)
	if n, _ := io.CopyN(io.Discard, c, largeFile); n >= largeFile {
		return fmt.Sprintf("the answer is whole after %v", stalled), nil
	}
	return "", nil
}

func (g *target) dial(patience time.Duration) (net.Conn, error) {
	return rawhttp.Dial(g.from, g.address, patience)
}

// ask sends one request on a connection of its own.
func (g *target) ask(text string) (rawhttp.Answer, error) {
	c, err := g.dial(2 * soon)
	if err != nil {
		return rawhttp.Answer{}, err
	}
	defer c.Close()
	return rawhttp.Ask(c, strings.Replace(text, "\r\n", "\r\nConnection: close\r\n", 1))
}

// listen starts a daemon for attacks over HTTP, with a session of alice's.
func listen(t *testing.T, binary string, weaken ...string) *target {
	t.Helper()
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("alice "+aliceKey+"\nbob "+bobKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &target{address: free.Addr().String()}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	g.d = startWith(t, binary, weaken, []string{"--listen", g.address, "--key-file", keys, "--pool", "0"})
	return g
}

// as is the target of one attack, from an address of its own, since limits are
// by address.
func (g *target) as(number int) *target {
	own := *g
	own.from = fmt.Sprintf("127.0.6.%d", number+1)
	return &own
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestRequests makes every attack over HTTP twice: on the product, where it gets
// nothing, and on a daemon without what stops it, where it does. They wait more
// than they work, so all of them are made at once.
func TestRequests(t *testing.T) {
	t.Parallel()
	real, weak := listen(t, product), map[string]*target{}
	for _, r := range requests {
		if weak[r.weaken] == nil {
			weak[r.weaken] = listen(t, weakened, r.weaken)
		}
	}
	var all sync.WaitGroup
	defer all.Wait()
	for i, r := range requests {
		contained, control := real.as(i), weak[r.weaken].as(i)
		all.Go(func() {
			if flag, err := r.run(contained); err != nil || flag != "" {
				t.Errorf("%s: %s It got through: %s (%v)", r.name, r.about, flag, err)
			}
		})
		all.Go(func() {
			if flag, err := r.run(control); err != nil || flag == "" {
				t.Errorf("%s: %s It fails also without %s: %v", r.name, r.about, r.weaken, err)
			}
		})
	}
	all.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := real.d.Ready(ctx); err != nil {
		t.Errorf("the daemon does not answer: %v", err)
	}
}
