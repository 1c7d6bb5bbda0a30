package rootfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	mostRequirementBytes = 1 << 20 // of one file
	mostRequirementFiles = 100     // with those that they include
)

// RequirementError is a mistake in what packages were asked for.
type RequirementError struct {
	Where  string // file:line, or a flag
	Reason string // and what to do
}

func (e *RequirementError) Error() string { return e.Where + ": " + e.Reason }

// requirements is what an installer is asked for. All of it has been checked:
// what is not a wheel would have to be built, and building runs the package's
// code on the host. An installer gets these lines and never the files that they
// come from, so that nothing can be read in two ways.
type requirements struct {
	packages     []string // one requirement each; paths have become URLs
	constraints  []string
	index        string
	extraIndexes []string
	findLinks    []string
	noIndex      bool
	prereleases  bool
	hashes       bool // everything needs one
}

// readRequirements checks the packages that options ask for.
func readRequirements(o BuildOptions) (requirements, error) {
	cwd, err := os.Getwd()
	if err != nil {
		return requirements{}, fmt.Errorf("read requirements: %w", err)
	}
	r := &requirementReader{}
	for _, text := range o.Requirements {
		where := fmt.Sprintf("--pip %q", text)
		fields, err := splitLine(text)
		switch {
		case err != nil:
			return requirements{}, &RequirementError{where, err.Error()}
		case len(fields) == 0:
			return requirements{}, &RequirementError{where, "there is no requirement in it"}
		case strings.HasPrefix(fields[0], "-"):
			return requirements{}, &RequirementError{where, "this is an option; --pip takes a requirement, such as numpy or 'numpy>=2'"}
		}
		line, err := checkRequirement(fields, cwd)
		if err != nil {
			return requirements{}, &RequirementError{where, err.Error()}
		}
		r.packages = append(r.packages, line)
	}
	for _, path := range o.RequirementFiles {
		if err := r.file("--requirements "+path, absolute(cwd, path), false); err != nil {
			return requirements{}, err
		}
	}
	// What the flags say is last, and wins.
	if o.IndexURL != "" {
		if err := r.option("--index-url", o.IndexURL, cwd); err != nil {
			return requirements{}, &RequirementError{"--index-url", err.Error()}
		}
	}
	for _, place := range o.FindLinks {
		if err := r.option("--find-links", place, cwd); err != nil {
			return requirements{}, &RequirementError{"--find-links " + place, err.Error()}
		}
	}
	r.noIndex = r.noIndex || o.NoIndex
	return r.requirements, nil
}

// requirementReader reads files that name each other.
type requirementReader struct {
	requirements
	open  []string // those that are being read, the outermost first
	files int      // read so far
}

// file reads one; where names the place that it is named at.
func (r *requirementReader) file(where, path string, constraint bool) error {
	if strings.Contains(path, "://") {
		return &RequirementError{where, "requirements are read from local files only; download this one first"}
	}
	if slices.Contains(r.open, path) {
		return &RequirementError{where, path + " includes itself"}
	}
	if r.files++; r.files > mostRequirementFiles {
		return &RequirementError{where, fmt.Sprintf("there are more than %d files of requirements", mostRequirementFiles)}
	}
	text, err := readText(path)
	if err != nil {
		return &RequirementError{where, "can't be read: " + err.Error()}
	}
	r.open = append(r.open, path)
	defer func() { r.open = r.open[:len(r.open)-1] }()
	for _, l := range joinLines(strings.TrimPrefix(text, "\ufeff")) {
		where := fmt.Sprintf("%s:%d", path, l.number)
		err := r.line(expandEnv(l.text), filepath.Dir(path), where, constraint)
		var known *RequirementError
		if err != nil && !errors.As(err, &known) {
			err = &RequirementError{where, err.Error()}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readText reads a file, or a pipe such as the shell's <(…).
func readText(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostRequirementBytes+1))
	switch {
	case err != nil:
		return "", err
	case len(text) > mostRequirementBytes:
		return "", fmt.Errorf("%s has more than %d bytes", path, mostRequirementBytes)
	case !utf8.Valid(text):
		return "", fmt.Errorf("%s is not UTF-8 text", path)
	}
	return string(text), nil
}

// line takes in one line of a file in dir.
func (r *requirementReader) line(text, dir, where string, constraint bool) error {
	fields, err := splitLine(text)
	if err != nil || len(fields) == 0 {
		return err
	}
	if !strings.HasPrefix(fields[0], "-") {
		line, err := checkRequirement(fields, dir)
		if err != nil {
			return err
		}
		if constraint {
			r.constraints = append(r.constraints, line)
		} else {
			r.packages = append(r.packages, line)
		}
		return nil
	}
	for len(fields) > 0 {
		var name, value string
		if name, value, fields, err = cutOption(fields); err != nil {
			return err
		}
		switch name {
		case "--requirement", "--constraint":
			// A file that a constraint file requires is required.
			err = r.file(where, absolute(dir, value), name == "--constraint")
		default:
			err = r.option(name, value, dir)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// numbered is a line, or several that a backslash joins, with its first number.
type numbered struct {
	number int
	text   string
}

// joinLines splits a text as pip does: a comment ends what is continued.
func joinLines(text string) (lines []numbered) {
	var current *numbered
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		body, continued := strings.CutSuffix(line, `\`)
		if comment := strings.HasPrefix(strings.TrimSpace(line), "#"); comment {
			body, continued = " "+line, false
		}
		if current == nil {
			current = &numbered{number: number}
		}
		current.text += body
		if !continued {
			lines = append(lines, *current)
			current = nil
		}
	}
	if current != nil {
		lines = append(lines, *current)
	}
	return lines
}

var variable = pattern(`\$\{[A-Z0-9_]+\}`)

// expandEnv puts in variables as pip does, so that passwords need not be in
// files. Those that are not set stay.
func expandEnv(text string) string {
	return variable().ReplaceAllStringFunc(text, func(v string) string {
		if value := os.Getenv(strings.Trim(v, "${}")); value != "" {
			return value
		}
		return v
	})
}

var comment = pattern(`(^|\s)#.*$`)

// splitLine cuts a line into words, without its comment.
func splitLine(line string) ([]string, error) {
	for _, c := range line {
		// Python knows more ends of lines than others do, and nobody should see
		// something else than what is read.
		if c != '\t' && !unicode.IsPrint(c) {
			return nil, fmt.Errorf("the character %q doesn't belong here", c)
		}
	}
	line = comment().ReplaceAllString(line, "")
	if strings.Contains(line, `\`) {
		return nil, errors.New("a backslash can only end a line")
	}
	return strings.Fields(line), nil
}

// absolute resolves a path: beside the file that names it, or else from the
// working directory, which installers go by.
func absolute(dir, path string) string {
	if filepath.IsAbs(path) || strings.Contains(path, "://") {
		return path
	}
	beside := filepath.Join(dir, path)
	if _, err := os.Stat(beside); err == nil {
		return beside
	}
	if here, err := filepath.Abs(path); err == nil {
		return here
	}
	return beside
}
