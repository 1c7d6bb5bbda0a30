package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// source reads the files of a host. What is there but can't be read is kept as
// trouble; what isn't there is an answer.
type source struct {
	root    string
	trouble []string
}

func (s *source) path(name string) string { return filepath.Join(s.root, name) }

// note keeps err as trouble unless it says that name does not exist.
func (s *source) note(name string, err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.trouble = append(s.trouble, name)
	}
}

// text is a file's content without the space around it.
func (s *source) text(name string) (text string, there bool) {
	b, err := os.ReadFile(s.path(name))
	s.note(name, err)
	return strings.TrimSpace(string(b)), err == nil
}

// number is the content of a file that holds one number.
func (s *source) number(name string) (n int64, there bool) {
	text, there := s.text(name)
	if !there {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	s.note(name, err)
	return n, err == nil
}

// rows are a file's lines as words.
func (s *source) rows(name string) (rows [][]string) {
	text, _ := s.text(name)
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 0 {
			rows = append(rows, words)
		}
	}
	return rows
}

// values are the lines "Name: value" of a file such as /proc/self/status.
func (s *source) values(name string) map[string]string {
	values := make(map[string]string)
	text, _ := s.text(name)
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			values[key] = strings.TrimSpace(value)
		}
	}
	return values
}

// names are the entries of a directory.
func (s *source) names(dir string) (names []string) {
	entries, err := os.ReadDir(s.path(dir))
	s.note(dir, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (s *source) exists(name string) bool {
	_, err := os.Lstat(s.path(name))
	return err == nil
}

// mount is one line of mountinfo.
type mount struct {
	id, parent  string
	point       string
	fsType      string
	options     []string // of the mount and of the file system
	fromItsRoot bool     // the whole file system is mounted, not a part
}

func (m mount) has(option string) bool {
	for _, o := range m.options {
		if o == option {
			return true
		}
	}
	return false
}

// mounts are those that this process sees.
func (s *source) mounts() (mounts []mount) {
	for _, f := range s.rows("/proc/self/mountinfo") {
		// 36 35 98:0 /root /point options optional… - type source options
		dash := 6
		for dash < len(f) && f[dash] != "-" {
			dash++
		}
		if dash+1 >= len(f) {
			continue
		}
		m := mount{id: f[0], parent: f[1], fromItsRoot: f[3] == "/", point: f[4], fsType: f[dash+1]}
		m.options = strings.Split(f[5], ",")
		if dash+3 < len(f) {
			m.options = append(m.options, strings.Split(f[dash+3], ",")...)
		}
		mounts = append(mounts, m)
	}
	return mounts
}
