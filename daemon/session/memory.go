package session

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// meminfoBytes is more than /proc/meminfo is long.
const meminfoBytes = 8 << 10

// availableMemory is what the kernel thinks can be used without swapping, in
// bytes.
func availableMemory() (int64, error) {
	// Not os.ReadFile, which would enter the file into the poller: this is read for
	// every session.
	fd, err := unix.Open("/proc/meminfo", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("read the host's free memory: %w", err)
	}
	defer unix.Close(fd)
	buf := make([]byte, meminfoBytes)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return 0, fmt.Errorf("read the host's free memory: %w", err)
	}
	for line := range bytes.Lines(buf[:n]) {
		if value, ok := strings.CutPrefix(string(line), "MemAvailable:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read the host's free memory: %w", err)
			}
			return kib << 10, nil
		}
	}
	return 0, errors.New("read the host's free memory: /proc/meminfo has no MemAvailable")
}
