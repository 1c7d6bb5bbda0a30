package workspace

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Errors that the package's functions wrap. The full message names the path
// and says what to do.
var (
	ErrInvalidName  = errors.New("invalid file name")
	ErrNotFound     = errors.New("no such file or directory")
	ErrIsDirectory  = errors.New("is a directory")
	ErrNotDirectory = errors.New("not a directory")
	ErrNotRegular   = errors.New("not a regular file")
	ErrExists       = errors.New("file exists")
	ErrTooLarge     = errors.New("file too large")
	ErrNoSpace      = errors.New("no space left in the workspace")
	ErrNotEmpty     = errors.New("directory not empty")
	ErrLink         = errors.New("symbolic link in the way")
	// ErrPermission: the modes that the session gave its files forbid it.
	ErrPermission = errors.New("permission denied")
	// ErrBusy: the session holds a lease or changes the tree all the time.
	ErrBusy = errors.New("in use")
	// ErrClosed: the workspace is gone, or is going.
	ErrClosed = errors.New("workspace is closed")
)

// advice is what a sentinel error's message adds.
var advice = map[error]string{
	ErrNotFound:     "check the path; it is relative to the workspace",
	ErrIsDirectory:  "name a file in it instead",
	ErrNotDirectory: "a directory is needed there; check the path, or remove the file",
	ErrNotRegular:   "only regular files can be transferred; remove it or choose another name",
	ErrExists:       "remove it first, or allow overwriting",
	ErrTooLarge:     "send a smaller file",
	ErrNoSpace:      "remove files, or use a session with a larger workspace",
	ErrNotEmpty:     "empty it first, or remove it recursively",
	ErrLink:         "links are not followed; use the path that it points to",
	ErrPermission:   "change the mode of the file or of its directory inside the session",
	ErrBusy:         "try again later",
	ErrClosed:       "the session has ended; create a new one",
}

// errnos tells which sentinel stands for an errno.
var errnos = map[unix.Errno]error{
	unix.ENOENT:       ErrNotFound,
	unix.EISDIR:       ErrIsDirectory,
	unix.ENOTDIR:      ErrNotDirectory,
	unix.ENXIO:        ErrNotRegular,
	unix.EXDEV:        ErrNotRegular, // another file system is mounted there
	unix.EEXIST:       ErrExists,
	unix.EFBIG:        ErrTooLarge,
	unix.ENOSPC:       ErrNoSpace,
	unix.EDQUOT:       ErrNoSpace,
	unix.ENOTEMPTY:    ErrNotEmpty,
	unix.ELOOP:        ErrLink,
	unix.EACCES:       ErrPermission,
	unix.EPERM:        ErrPermission,
	unix.EAGAIN:       ErrBusy,
	unix.EBUSY:        ErrBusy,
	unix.ENAMETOOLONG: ErrInvalidName,
}

// maxQuoted is how many bytes of a name an error message repeats.
const maxQuoted = 256

// fail makes the error that users see: operation, path, reason, what to do.
// cause is an errno, a sentinel, or an error that is passed through as it is.
func fail(op, name string, cause error) error {
	if len(name) > maxQuoted {
		name = name[:maxQuoted] + "..."
	}
	var errno unix.Errno
	if errors.Is(cause, os.ErrClosed) {
		cause = ErrClosed
	} else if errors.As(cause, &errno) && errnos[errno] != nil {
		cause = errnos[errno]
	}
	if what, ok := advice[cause]; ok {
		return fmt.Errorf("%s %q: %w: %s", op, name, cause, what)
	}
	return fmt.Errorf("%s %q: %w", op, name, cause)
}

// cancelled is the error of a context that has ended, else nil.
func cancelled(ctx context.Context, op, name string) error {
	if ctx.Err() == nil {
		return nil
	}
	return fail(op, name, context.Cause(ctx))
}

// isAny tells whether err is one of the given ones.
func isAny(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
