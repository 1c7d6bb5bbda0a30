package rootfs

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// howToBuild ends every refusal of something that is no wheel.
const howToBuild = "only wheels are installed, since building runs the package's code on this host; " +
	"make a wheel elsewhere (pip wheel) and name the .whl file"

var (
	projectName = pattern(`^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?) ?(\[[A-Za-z0-9._, -]*\])? ?(.*)$`)
	clause      = `(?:===|==|~=|!=|<=|>=|<|>) ?[A-Za-z0-9_.*+!-]+`
	clauses     = clause + `(?: ?, ?` + clause + `)*,?`
	versions    = pattern(`^(?:` + clauses + `|\( ?` + clauses + ` ?\))?$`)
	marker      = pattern(`^[A-Za-z0-9_.,:/'"<>=!~()*+ -]+$`)
	withExtras  = pattern(`^(.*\.whl)(\[[A-Za-z0-9._, -]*\])$`)
	repository  = pattern(`^(?i:git|hg|svn|bzr)\+`)
	hash        = pattern(`^[a-z0-9]+:[0-9a-fA-F]+$`)
)

// archives are files of source code. A requirement that ends like one is taken
// for a file by pip, even if it could be a project's name.
var archives = []string{".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz", ".xz", ".txz", ".lz", ".tlz", ".lzma", ".zst", ".egg"}

// checkRequirement makes the line for the installer, or says why there is none.
// Paths are relative to dir.
func checkRequirement(fields []string, dir string) (string, error) {
	end := slices.IndexFunc(fields, func(f string) bool { return strings.HasPrefix(f, "-") })
	if end < 0 {
		end = len(fields)
	}
	line, err := checkSubject(fields[:end], dir)
	if err != nil {
		return "", err
	}
	for options := fields[end:]; len(options) > 0; {
		name, value, rest, err := cutOption(options)
		if err != nil {
			return "", err
		}
		if name != "--hash" || !hash().MatchString(value) {
			return "", fmt.Errorf("%s: after a requirement only --hash=ALGORITHM:HEX is taken", options[0])
		}
		line += " --hash=" + value
		options = rest
	}
	return line, nil
}

// checkSubject checks a requirement without its hashes.
func checkSubject(fields []string, dir string) (string, error) {
	text := strings.Join(fields, " ")
	m := projectName().FindStringSubmatch(text)
	if m == nil || !strings.HasPrefix(m[3], "@") {
		if looksLikePlace(text) {
			return checkPlace(text, dir)
		}
	}
	if m == nil {
		return "", fmt.Errorf("%q is no requirement; one looks like numpy, 'numpy>=2' or 'name @ URL-of-a-wheel'", text)
	}
	name, rest := m[1]+m[2], m[3]
	if place, ok := strings.CutPrefix(rest, "@"); ok {
		place, condition := cutMarker(strings.TrimSpace(place))
		u, err := checkWheel(place, dir)
		if err != nil {
			return "", err
		}
		return withMarker(name+" @ "+u.String(), condition)
	}
	version, condition, conditional := strings.Cut(rest, ";")
	version, condition = strings.TrimSpace(version), strings.TrimSpace(condition)
	switch {
	case isArchive(name + version):
		return "", fmt.Errorf("%s looks like an archive of source code: %s", name+version, howToBuild)
	case !versions().MatchString(version):
		return "", fmt.Errorf("%q is not understood after %s; name one requirement at a time (--pip A --pip B, or a line each in a file)", version, name)
	case conditional && condition == "":
		return "", errors.New("nothing follows the semicolon")
	}
	return withMarker(name+version, condition)
}

func withMarker(text, condition string) (string, error) {
	if condition == "" {
		return text, nil
	}
	if !marker().MatchString(condition) {
		return "", fmt.Errorf("%q is no condition; one looks like python_version >= '3.9'", condition)
	}
	return text + " ; " + condition, nil
}

// looksLikePlace tells paths and URLs from names as pip does.
func looksLikePlace(text string) bool {
	subject, _ := cutMarker(text)
	subject, _, _ = strings.Cut(subject, ";")
	return strings.HasPrefix(subject, ".") || strings.HasPrefix(subject, "file:") || strings.Contains(subject, "/") ||
		strings.HasSuffix(subject, ".whl") || withExtras().MatchString(subject)
}

// cutMarker takes the condition off a path or URL. These may hold semicolons,
// so that one which ends them has a space beside it.
func cutMarker(text string) (place, condition string) {
	for _, separator := range []string{" ;", "; "} {
		if place, condition, ok := strings.Cut(text, separator); ok {
			return strings.TrimSpace(place), strings.TrimSpace(condition)
		}
	}
	return text, ""
}

// checkPlace checks a wheel's path or URL without a name before it.
func checkPlace(text, dir string) (string, error) {
	place, condition := cutMarker(text)
	wanted := ""
	if m := withExtras().FindStringSubmatch(place); m != nil {
		place, wanted = m[1], m[2]
	}
	u, err := checkWheel(place, dir)
	if err != nil {
		return "", err
	}
	line := u.String()
	if wanted != "" {
		project, _, _ := strings.Cut(path.Base(u.Path), "-")
		line = project + wanted + " @ " + line
	}
	return withMarker(line, condition)
}

// checkWheel makes a URL of the place of a wheel.
func checkWheel(place, dir string) (*url.URL, error) {
	if repository().MatchString(place) {
		return nil, fmt.Errorf("%s is a repository: %s", place, howToBuild)
	}
	if strings.ContainsAny(place, " \"'") {
		return nil, fmt.Errorf("%q is no path or URL; a space in it can be written as %%20 in a file:/// URL", place)
	}
	if strings.Contains(place, "://") || strings.HasPrefix(place, "file:") {
		u, err := url.Parse(place)
		if err != nil || !isURL(u) {
			return nil, errors.New("this is no URL of a file; http://, https:// and file:/// are known") // it may hold a password
		}
		if !strings.HasSuffix(u.Path, ".whl") {
			return nil, fmt.Errorf("%s is no wheel: %s", u.Redacted(), howToBuild)
		}
		return u, nil
	}
	file := absolute(dir, place)
	info, err := os.Stat(file)
	if !strings.HasSuffix(file, ".whl") || err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is no wheel: %s", file, howToBuild)
	}
	if err != nil {
		return nil, fmt.Errorf("the wheel can't be read: %w", err)
	}
	return fileURL(file), nil
}

func isArchive(text string) bool {
	return slices.Contains(archives, strings.ToLower(filepath.Ext(text)))
}

func isURL(u *url.URL) bool {
	return slices.Contains([]string{"http", "https", "file"}, u.Scheme) && u.Opaque == ""
}

// fileURL also serves where quotes and spaces have a meaning.
func fileURL(path string) *url.URL {
	raw := (&url.URL{Path: path}).EscapedPath()
	return &url.URL{Scheme: "file", Path: path, RawPath: strings.ReplaceAll(raw, "'", "%27")}
}
