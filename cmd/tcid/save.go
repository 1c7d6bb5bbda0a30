package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math"
	"mime"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "tcid/api/v1"
)

// saver keeps rich output in a directory: a file for each MIME type of a display
// but plain text, which is printed. Files of other runs are never overwritten.
type saver struct {
	dir      string
	next     int
	displays map[string]int // the number of a display, by its id
}

// extensions of the types that are common in notebooks.
var extensions = map[string]string{
	"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp", "image/svg+xml": "svg",
	"application/pdf": "pdf", "application/json": "json", "application/geo+json": "geojson",
	"application/javascript": "js", "text/html": "html", "text/markdown": "md", "text/latex": "tex",
}

// newSaver makes the directory; without a name there is no saver.
func newSaver(dir string) (*saver, error) {
	if dir == "" {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, usageError{fmt.Errorf("--output-dir: %w", err)}
	}
	there, err := os.ReadDir(dir)
	if err != nil {
		return nil, usageError{fmt.Errorf("--output-dir: %w", err)}
	}
	s := &saver{dir: dir, next: 1, displays: map[string]int{}}
	for _, file := range there {
		var number int
		if _, err := fmt.Sscanf(file.Name(), "output-%d.", &number); err == nil && number < math.MaxInt32 {
			s.next = max(s.next, number+1)
		}
	}
	return s, nil
}

// save writes the rich parts of a display and tells what became of each. New data
// of a display goes into its files.
func (s *saver) save(e v1.Event) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		types := slices.DeleteFunc(slices.Sorted(maps.Keys(e.Data)), func(t string) bool { return t == "text/plain" })
		if len(types) == 0 {
			return
		}
		number, known := s.displays[e.DisplayID]
		if !known {
			number = s.next
			s.next++
			if e.DisplayID != "" {
				s.displays[e.DisplayID] = number
			}
		}
		for _, t := range types {
			content, err := decode(t, e.Data[t])
			if err != nil {
				if !yield(fmt.Sprintf("%s was not saved: %v", printable(t), err), nil) {
					return
				}
				continue
			}
			path := s.path(number, t)
			if err := os.WriteFile(path, content, newFileMode); err != nil {
				yield("", fmt.Errorf("save the output: %w", err))
				return
			}
			if !yield(fmt.Sprintf("%s is in %s", printable(t), path), nil) {
				return
			}
		}
	}
}

func (s *saver) path(number int, mimeType string) string {
	return filepath.Join(s.dir, fmt.Sprintf("output-%03d.%s", number, extension(mimeType)))
}

// extension is the end of a file's name. The type is the session's choice: only
// what can do no harm in a name is taken from it.
func extension(mimeType string) string {
	if known, ok := extensions[mimeType]; ok {
		return known
	}
	base, _, err := mime.ParseMediaType(mimeType)
	if err != nil {
		return "bin"
	}
	major, minor, _ := strings.Cut(base, "/")
	name := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return '-'
	}, strings.TrimSuffix(minor, "+json"))
	const longest = 40
	name = strings.Trim(name[:min(len(name), longest)], "-")
	switch {
	case name == "":
		return "bin"
	case strings.HasSuffix(minor, "+json"):
		return name + ".json"
	case major == "text":
		return name + ".txt"
	}
	return name
}

// decode turns a value of a display into a file's content: text is itself,
// pictures and the like come as base64, and objects are JSON.
func decode(mimeType string, value any) ([]byte, error) {
	text, ok := value.(string)
	if !ok {
		content, err := json.MarshalIndent(value, "", "  ")
		return append(content, '\n'), err
	}
	major, _, _ := strings.Cut(mimeType, "/")
	binary := major == "image" || major == "audio" || major == "video" || mimeType == "application/pdf" || mimeType == "application/octet-stream"
	if !binary || mimeType == "image/svg+xml" {
		return []byte(text), nil
	}
	content, err := base64.StdEncoding.DecodeString(strings.NewReplacer("\n", "", "\r", "").Replace(text))
	if err != nil {
		return nil, fmt.Errorf("it is no base64: %w", err)
	}
	return content, nil
}
