package api_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"discordcloud/manager/internal/api"
)

// TestDocument holds API.md against the routes.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("API.md")
	if err != nil {
		t.Fatal(err)
	}
	var told, have []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z]+ /[^`]*)` \\|").FindAllStringSubmatch(string(text), -1) {
		told = append(told, m[1])
	}
	for _, rt := range api.Routes() {
		have = append(have, rt.Method+" "+rt.Path)
	}
	slices.Sort(told)
	slices.Sort(have)
	if !slices.Equal(told, have) {
		t.Errorf("API.md tells of\n%q, the routes are\n%q", told, have)
	}
}
