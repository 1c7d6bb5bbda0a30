//go:build !amd64

package seccomp

// Without numbers there is no policy, and so no session.
const (
	arch    = 0
	foreign = 0
	// Newest is the highest system call number that the policy was made with.
	Newest = 0
)

var numbers map[string]uint32
