package main

import (
	"os"
	"strings"
	"testing"

	"discordcloud/pkg/config"
)

// The README's table of settings is what the declarations say.
func TestReadme_settings(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	a := &app{env: config.New(func(string) (string, bool) { return "", false }), stderr: os.Stderr}
	a.declareAll()
	_, rest, ok := strings.Cut(string(text), "<!-- settings -->\n")
	table, _, ok2 := strings.Cut(rest, "<!-- /settings -->")
	if want := a.configTable(); !ok || !ok2 || table != want {
		t.Errorf("the README's settings are not those of `discord-cloud admin config --markdown`:\n%s", want)
	}
}
