package auth

import (
	_ "embed"
	"strings"
	"sync"
	"unicode/utf8"

	"discordcloud/pkg/cloud"
)

//go:embed worst.txt
var worstText string

// worst is the set of passwords that guessing begins with, in lower case.
var worst = sync.OnceValue(func() map[string]struct{} {
	set := map[string]struct{}{}
	for line := range strings.Lines(worstText) {
		if !strings.HasPrefix(line, "#") {
			set[strings.TrimSpace(line)] = struct{}{}
		}
	}
	return set
})

// checkWorst refuses passwords that everybody tries first: those of the list in
// any case, and one character over and over.
func checkWorst(password string) error {
	_, listed := worst()[strings.ToLower(password)]
	first, _ := utf8.DecodeRuneInString(password)
	if listed || strings.Trim(password, string(first)) == "" {
		return cloud.UserErrorf(cloud.ErrInvalid, "this password is among the most common ones: choose another")
	}
	return nil
}
