//go:build !weaken

package transport

// What the tests' weakened program leaves out one by one; see
// sandbox/container/strong.go.

const bodyLimit = MaxJSONBody

func enforced(string) bool { return true }
