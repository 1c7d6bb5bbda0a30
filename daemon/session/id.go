package session

import (
	"crypto/rand"
	"fmt"
	"math/big"
)

const (
	sessionPrefix   = "ses_"
	executionPrefix = "exe_"
	// 21 characters of 58 are 123 random bits: ids can't be guessed.
	idLength = 21
	base58   = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
)

func newID(prefix string) string {
	id := make([]byte, idLength)
	size := big.NewInt(int64(len(base58)))
	for i := range id {
		n, err := rand.Int(rand.Reader, size)
		if err != nil { // crypto/rand ends the program itself since Go 1.24
			panic(fmt.Sprintf("read random bytes: %v", err))
		}
		id[i] = base58[n.Int64()]
	}
	return prefix + string(id)
}
