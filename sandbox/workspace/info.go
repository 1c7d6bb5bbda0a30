package workspace

import (
	"io/fs"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// What FileInfo.Type says.
const (
	TypeFile      = "file"
	TypeDirectory = "directory"
	TypeSymlink   = "symlink"
	// TypeOther is a FIFO, socket or device, or a place where another file
	// system is mounted.
	TypeOther = "other"
)

// FileInfo describes one entry of the workspace. Links are described
// themselves, never what they point to.
type FileInfo struct {
	Path       string // relative to the workspace, with slashes; "." is the workspace
	Name       string // the last part of Path
	Size       int64  // bytes of a regular file, else 0
	Type       string
	Mode       fs.FileMode // permission and type bits
	ModifiedAt time.Time   // UTC
}

// Stat describes what is at name, which may be a link or "." but not lie behind
// a link. It opens nothing.
func (d *Dir) Stat(name string) (FileInfo, error) {
	rel, err := Clean(name)
	if err != nil {
		return FileInfo{}, err
	}
	if err := d.acquire(); err != nil {
		return FileInfo{}, fail("stat", rel, err)
	}
	defer d.release()
	fd, st, err := d.peek(d.fd, rel)
	if err != nil {
		return FileInfo{}, fail("stat", rel, err)
	}
	unix.Close(fd)
	return newInfo(rel, &st), nil
}

func newInfo(rel string, st *unix.Stat_t) FileInfo {
	info := FileInfo{
		Path: rel, Name: path.Base(rel), Type: TypeOther,
		Mode:       fs.FileMode(st.Mode & 0o777),
		ModifiedAt: time.Unix(st.Mtim.Unix()).UTC(),
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		info.Type, info.Size = TypeFile, st.Size
	case unix.S_IFDIR:
		info.Type = TypeDirectory
		info.Mode |= fs.ModeDir
	case unix.S_IFLNK:
		info.Type = TypeSymlink
		info.Mode |= fs.ModeSymlink
	case unix.S_IFIFO:
		info.Mode |= fs.ModeNamedPipe
	case unix.S_IFSOCK:
		info.Mode |= fs.ModeSocket
	case unix.S_IFBLK:
		info.Mode |= fs.ModeDevice
	case unix.S_IFCHR:
		info.Mode |= fs.ModeDevice | fs.ModeCharDevice
	default:
		info.Mode |= fs.ModeIrregular
	}
	if st.Mode&unix.S_ISUID != 0 {
		info.Mode |= fs.ModeSetuid
	}
	if st.Mode&unix.S_ISGID != 0 {
		info.Mode |= fs.ModeSetgid
	}
	if st.Mode&unix.S_ISVTX != 0 {
		info.Mode |= fs.ModeSticky
	}
	return info
}
