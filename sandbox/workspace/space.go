package workspace

import "golang.org/x/sys/unix"

// Space is what a workspace holds, and what still fits.
type Space struct {
	UsedBytes, FreeBytes int64
	UsedFiles, FreeFiles int64 // directories and links included
}

// Space measures the workspace. It opens nothing.
func (d *Dir) Space() (Space, error) {
	if err := d.acquire(); err != nil {
		return Space{}, fail("measure", ".", err)
	}
	defer d.release()
	var st unix.Statfs_t
	if err := unix.Fstatfs(d.fd, &st); err != nil {
		return Space{}, fail("measure", ".", err)
	}
	return finalSpace(d, Space{
		UsedBytes: int64(st.Blocks-st.Bfree) * st.Bsize, FreeBytes: int64(st.Bavail) * st.Bsize,
		UsedFiles: int64(st.Files - st.Ffree), FreeFiles: int64(st.Ffree),
	}), nil
}
