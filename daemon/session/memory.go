package session

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
)

// availableMemory is what the kernel thinks can be used without swapping, in
// bytes.
func availableMemory() (int64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("read the host's free memory: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var kb int64
		if strings.HasPrefix(lines.Text(), "MemAvailable:") {
			if _, err := fmt.Sscanf(lines.Text(), "MemAvailable: %d kB", &kb); err != nil {
				return 0, fmt.Errorf("read the host's free memory: %w", err)
			}
			return kb << 10, nil
		}
	}
	return 0, errors.Join(errors.New("read the host's free memory: no MemAvailable"), lines.Err())
}
