package workspace

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// asOwner runs f with the file system ids of the session, and so without the
// capabilities over files that root has (setfsuid(2)). f runs on a thread of its own,
// since these ids belong to threads; the runtime never clones new threads from a
// locked one.
//
// setfsuid also sets the process's "dumpable" flag to fs.suid_dumpable (usually
// 0). For a daemon of root that changes nothing but that it leaves no core file.
func (d *Dir) asOwner(f func() error) error {
	uid, gid := os.Geteuid(), os.Getegid()
	if uid == d.uid && gid == d.gid {
		return f()
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		// The group first and last: judges that forgot it left files of group root.
		err := setFSIDs(d.uid, d.gid)
		if err == nil {
			err = f()
		}
		if restored := setFSIDs(uid, gid); restored != nil {
			// Still locked, so the thread ends with the goroutine instead of
			// serving others with the wrong ids.
			if err == nil {
				err = restored
			}
		} else {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// setFSIDs changes the thread's file system ids and checks that it worked:
// setfsuid reports no errors.
func setFSIDs(uid, gid int) error {
	_, _ = unix.SetfsgidRetGid(gid)
	_, _ = unix.SetfsuidRetUid(uid)
	// -1 is no valid id: nothing changes and the current one is returned.
	nowGID, _ := unix.SetfsgidRetGid(-1)
	nowUID, _ := unix.SetfsuidRetUid(-1)
	if nowUID != uid || nowGID != gid {
		return fmt.Errorf("set file system ids to %d:%d: they are %d:%d; CAP_SETUID and CAP_SETGID are needed", uid, gid, nowUID, nowGID)
	}
	return nil
}
