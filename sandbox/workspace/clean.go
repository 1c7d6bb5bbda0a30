package workspace

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of names.
const (
	// Home is where the session sees its workspace.
	Home = "/workspace"
	// MaxNameBytes is the longest path: PATH_MAX without its final NUL.
	MaxNameBytes = 4095
	// MaxComponentBytes is the longest part between two slashes (NAME_MAX).
	MaxComponentBytes = 255
	// MaxDepth is the highest number of parts of a path.
	MaxDepth = 64
)

// Clean checks a path given by a client and returns it relative to the
// workspace, with single slashes; "." is the workspace itself. An absolute
// path below Home is taken relative to Home, any other absolute path as if the
// workspace were the root. A path with ".." anywhere is refused. The error
// wraps ErrInvalidName. Clean is idempotent.
//
// Any other bytes pass, even ones that are not UTF-8: the session can make such
// files, so clients must be able to fetch and remove them.
func Clean(name string) (string, error) {
	if name == "" {
		return "", invalid(name, "it is empty; give a path relative to the workspace")
	}
	if len(name) > MaxNameBytes {
		return "", invalid(name, "it has %d bytes; use at most %d", len(name), MaxNameBytes)
	}
	if strings.IndexByte(name, 0) >= 0 {
		return "", invalid(name, "it contains a NUL byte; remove it")
	}
	parts := make([]string, 0, MaxDepth)
	home := strings.HasPrefix(name, "/")
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "" || part == ".":
			continue
		case part == "..":
			return "", invalid(name, `it contains ".."; give the path without it`)
		case len(part) > MaxComponentBytes:
			return "", invalid(name, "a part of it has %d bytes; use at most %d", len(part), MaxComponentBytes)
		case home && part == Home[1:]:
			home = false
			continue
		case len(parts) == MaxDepth:
			return "", invalid(name, "it has more than %d parts; use fewer directories", MaxDepth)
		}
		home = false
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return ".", nil
	}
	return strings.Join(parts, "/"), nil
}

// CleanNew is Clean for a file to be made. It is stricter, because names that
// break terminals, logs and JSON are better not made in the first place.
func CleanNew(name string) (string, error) {
	rel, err := Clean(name)
	if err != nil {
		return "", err
	}
	if rel == "." || strings.HasSuffix(name, "/") || strings.HasSuffix(name, "/.") {
		return "", fail("write", name, ErrIsDirectory)
	}
	if !utf8.ValidString(rel) {
		return "", invalid(name, "it is not valid UTF-8; use another name")
	}
	if strings.ContainsFunc(rel, unicode.IsControl) {
		return "", invalid(name, "it contains a control character; use another name")
	}
	return rel, nil
}

func invalid(name, format string, args ...any) error {
	if len(name) > maxQuoted {
		name = name[:maxQuoted] + "..."
	}
	return fmt.Errorf("%w %q: %s", ErrInvalidName, name, fmt.Sprintf(format, args...))
}

// split returns the directory's parts and the last part of a cleaned path.
func split(rel string) (parents []string, base string) {
	parts := strings.Split(rel, "/")
	return parts[:len(parts)-1], parts[len(parts)-1]
}
