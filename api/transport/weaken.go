//go:build weaken

package transport

import "tcid/internal/weaken"

// bodyLimit is far away without "body".
var bodyLimit = map[bool]int64{false: MaxJSONBody, true: 1 << 30}[weaken.Without("body")]

func enforced(safeguard string) bool { return !weaken.Without(safeguard) }
