package daemon

import (
	"strings"
	"testing"
)

func TestListenSettings(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  Config
		want string // in the error; empty: none
	}{
		"no TCP":                   {Config{}, ""},
		"loopback":                 {Config{Listen: "127.0.0.1:8787"}, ""},
		"all of loopback":          {Config{Listen: "127.9.9.9:0"}, ""},
		"loopback, IPv6":           {Config{Listen: "[::1]:8787"}, ""},
		"loopback, mapped":         {Config{Listen: "[::ffff:127.0.0.1]:8787"}, ""},
		"loopback by name":         {Config{Listen: "localhost:8787"}, ""},
		"all addresses":            {Config{Listen: ":8787"}, "--tls-cert"},
		"all addresses, IPv4":      {Config{Listen: "0.0.0.0:8787"}, "--tls-cert"},
		"all addresses, IPv6":      {Config{Listen: "[::]:8787"}, "--tls-cert"},
		"an address":               {Config{Listen: "192.0.2.1:8787"}, "--insecure-listen"},
		"a name of nothing":        {Config{Listen: "nothing.invalid:8787"}, "nothing.invalid"},
		"all addresses, insecure":  {Config{Listen: ":8787", InsecureListen: true}, ""},
		"all addresses, TLS":       {Config{Listen: ":8787", TLSCert: "c", TLSKey: "k"}, ""},
		"no port":                  {Config{Listen: "localhost"}, "HOST:PORT"},
		"certificate without key":  {Config{Listen: "127.0.0.1:1", TLSCert: "c"}, "go together"},
		"key without certificate":  {Config{Listen: "127.0.0.1:1", TLSKey: "k"}, "go together"},
		"TLS without TCP":          {Config{TLSCert: "c", TLSKey: "k"}, "--listen"},
		"API keys without TCP":     {Config{KeyFile: "k"}, "--listen"},
		"insecure without TCP":     {Config{InsecureListen: true}, "--listen"},
		"insecure and TLS":         {Config{Listen: ":1", TLSCert: "c", TLSKey: "k", InsecureListen: true}, "leave it out"},
		"too many per address":     {Config{Listen: "127.0.0.1:1", MaxPerAddress: 5000}, "max-connections-per-address"},
		"less than none per place": {Config{Listen: "127.0.0.1:1", MaxPerAddress: -1}, "max-connections-per-address"},
	} {
		_, err := c.cfg.Complete()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want something with %q", name, err, c.want)
		}
	}
}
