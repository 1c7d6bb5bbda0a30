// Package rootfs makes and keeps images: the root file systems that sessions
// run on. An image holds a CPython of the host under /usr, its standard
// library, every shared library that these need, a shell and the usual small
// programs, and nothing else of the host. Packages come from wheels that are
// installed on top of it.
//
// Images are immutable and named by their content. On disk, below the data
// directory:
//
//	images/<digest>/root        the file system
//	images/<digest>/image.json  what it is
//	images/<digest>/files       every entry with its mode, size and hash
//	images/<digest>/lock        locked, shared, by whoever uses the image
//	names/<name>                the digest that a name stands for
//	tmp/                        builds under way
//	images.lock                 held by whoever changes any of this
package rootfs

import (
	"errors"
	"time"
)

// DefaultName is the image of sessions that name none.
const DefaultName = "default"

// Errors that methods of Store wrap.
var (
	ErrNotFound = errors.New("no such image")
	ErrInUse    = errors.New("image is in use")
	ErrDamaged  = errors.New("image is damaged")
)

// Image is a root file system and what is known of it.
type Image struct {
	Name          string    `json:"-"`      // the name it was found by; empty if by digest
	Digest        string    `json:"digest"` // hex SHA-256 over the list of files
	Root          string    `json:"-"`      // absolute path on the host
	Python        string    `json:"python"` // path inside the image
	PythonVersion string    `json:"python_version"`
	Source        string    `json:"source"`   // the host's interpreter that it was made from
	Packages      []string  `json:"packages"` // "name==version"
	Preload       []string  `json:"preload"`
	CreatedAt     time.Time `json:"created_at"`
	SizeBytes     int64     `json:"size_bytes"`
	Files         int       `json:"files"`
}
