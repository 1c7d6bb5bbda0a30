package rootfs

import (
	"os"
	"path/filepath"
)

const bundle = "/etc/ssl/certs/ca-certificates.crt"

// certBundles is where distributions keep the trusted authorities in one file.
var certBundles = []string{
	bundle, "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
}

const opensslConfig = "/etc/ssl/openssl.cnf"

// addAuthorities puts the host's trusted authorities where Python's OpenSSL
// looks for them.
func (t *tree) addAuthorities(py interpreter) error {
	for _, source := range certBundles {
		if _, err := os.Stat(source); err != nil {
			continue
		}
		if err := t.file(source, bundle); err != nil {
			return err
		}
		break
	}
	for _, source := range []string{opensslConfig, "/etc/pki/tls/openssl.cnf"} {
		if _, err := os.Stat(source); err != nil {
			continue
		}
		if err := t.file(source, opensslConfig); err != nil {
			return err
		}
		break
	}
	// Where Debian's OpenSSL looks.
	for path, target := range map[string]string{
		"/usr/lib/ssl/openssl.cnf": opensslConfig, "/usr/lib/ssl/certs": filepath.Dir(bundle),
	} {
		if err := t.link(target, path); err != nil {
			return err
		}
	}
	// An OpenSSL that was built beside Python, such as pyenv's, has its own
	// idea of where the file is.
	if file := py.CertFile; t.has(bundle) && filepath.IsAbs(file) {
		return t.link(bundle, filepath.Clean(file))
	}
	return nil
}
