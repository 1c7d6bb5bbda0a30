// Package workspace reads and writes the files of a session from outside.
//
// The workspace is a tmpfs that belongs to hostile code, which may change
// anything in it at any moment: put a symbolic link where a directory was,
// hard-link, make FIFOs, rename a tree while it is walked, nest thousands of
// directories. The caller is root. Four rules keep that apart:
//
//   - Everything starts at one directory descriptor that was taken before the
//     hostile code ran. Every lookup is an openat2 that refuses "..", links,
//     magic links and other mounts. Nothing is done by path from "/".
//   - A lookup opens with O_PATH, which has no side effect on FIFOs, devices
//     or leases. What it found is checked with fstat, and only a regular file
//     is then opened for reading, through that same descriptor.
//   - Whatever creates or renames runs with the session's file system ids, on
//     a thread of its own, so that even a lost race has no more rights than the
//     session itself. It must: a tmpfs mounted in a user namespace refuses files
//     of ids that the namespace doesn't map, with EOVERFLOW, also from root.
//   - Every answer and every loop is bounded, in entries, bytes or depth.
//
// Reading and removing run as root, so that a mode of 0 hides nothing from the
// session's owner.
package workspace
