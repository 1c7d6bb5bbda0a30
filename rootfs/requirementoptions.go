package rootfs

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
)

// longOptions are the options that files of requirements may have, by what else
// they are called; those with a value end in "=".
var longOptions = map[string]string{
	"-r": "--requirement=", "-c": "--constraint=", "-i": "--index-url=", "-f": "--find-links=",
	"--requirement": "--requirement=", "--constraint": "--constraint=",
	"--index-url": "--index-url=", "--pypi-url": "--index-url=", "--extra-index-url": "--extra-index-url=",
	"--find-links": "--find-links=", "--only-binary": "--only-binary=", "--hash": "--hash=",
	"--pre": "--pre", "--no-index": "--no-index", "--require-hashes": "--require-hashes", "--prefer-binary": "--prefer-binary",
}

// cutOption takes one option off a line, in any of the ways that it can be
// written: -rX, -r X, --name X, --name=X.
func cutOption(fields []string) (name, value string, rest []string, err error) {
	const short = len("-x")
	written := fields[0]
	switch {
	case !strings.HasPrefix(written, "-"):
		return "", "", nil, fmt.Errorf("%q is not understood after an option", written)
	case written == "-e" || strings.HasPrefix(written, "--editable"):
		return "", "", nil, fmt.Errorf("%s: %s", written, howToBuild)
	case strings.HasPrefix(written, "--no-binary"):
		return "", "", nil, fmt.Errorf("%s: %s", written, howToBuild)
	}
	name, value, hasValue := strings.Cut(written, "=")
	if !strings.HasPrefix(written, "--") && len(written) > short {
		name, value, hasValue = written[:short], written[short:], true
	}
	name, wantsValue := strings.CutSuffix(longOptions[name], "=")
	rest = fields[1:]
	switch {
	case name == "":
		return "", "", nil, fmt.Errorf("the option %s is not taken; known are -r, -c, -i, --extra-index-url, -f, --no-index, --pre, "+
			"--require-hashes, --only-binary, --prefer-binary and --hash", written)
	case hasValue && !wantsValue:
		return "", "", nil, fmt.Errorf("%s takes no value", name)
	case wantsValue && !hasValue && len(rest) > 0:
		value, rest = rest[0], rest[1:]
	}
	if wantsValue && (value == "" || strings.HasPrefix(value, "-")) {
		return "", "", nil, fmt.Errorf("%s needs a value", name)
	}
	if strings.ContainsAny(value, "\"'") {
		return "", "", nil, fmt.Errorf("%s: quotes are not understood; use a path without spaces", name)
	}
	return name, value, rest, nil
}

// option takes in what is not about files. Paths are relative to dir.
func (r *requirements) option(name, value, dir string) error {
	switch name {
	case "--index-url", "--extra-index-url":
		if err := checkURL(value); err != nil {
			return err
		}
		if name == "--index-url" {
			r.index = value
		} else if !slices.Contains(r.extraIndexes, value) {
			r.extraIndexes = append(r.extraIndexes, value)
		}
	case "--find-links":
		if checkURL(value) != nil {
			path := absolute(dir, value)
			if _, err := os.Stat(path); err != nil {
				return fmt.Errorf("wheels can't be looked for: %w", err)
			}
			value = fileURL(path).String()
		}
		if !slices.Contains(r.findLinks, value) {
			r.findLinks = append(r.findLinks, value)
		}
	case "--no-index":
		r.noIndex = true
	case "--pre":
		r.prereleases = true
	case "--require-hashes":
		r.hashes = true
	case "--only-binary", "--prefer-binary": // all wheels, always
	default:
		return fmt.Errorf("%s belongs behind a requirement", name)
	}
	return nil
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || !isURL(u) || strings.ContainsAny(text, " \t\n\\\"'{}") {
		// The text may hold a password.
		return errors.New("this is no URL; http://, https:// and file:/// are known")
	}
	return nil
}

// lines is a file for an installer.
func (r *requirements) lines() string {
	var lines []string
	if r.noIndex {
		lines = append(lines, "--no-index")
	} else if r.index != "" {
		lines = append(lines, "--index-url "+r.index)
	}
	for _, u := range r.extraIndexes {
		if !r.noIndex {
			lines = append(lines, "--extra-index-url "+u)
		}
	}
	for _, u := range r.findLinks {
		lines = append(lines, "--find-links "+u)
	}
	return strings.Join(append(lines, r.packages...), "\n") + "\n"
}
