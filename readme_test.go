package main

import (
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

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

// The README names every command.
func TestReadme_commands(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	parser, err := kong.New(&commands{}, kong.Name("discord-cloud"))
	if err != nil {
		t.Fatal(err)
	}
	leaves := parser.Model.Leaves(true)
	if len(leaves) < 20 {
		t.Fatalf("%d commands are declared", len(leaves))
	}
	for _, leaf := range leaves {
		if leaf.Name == "serve" {
			continue // the default, [serve]
		}
		var words []string
		for n := leaf; n != nil && n.Type == kong.CommandNode; n = n.Parent {
			words = append([]string{n.Name}, words...)
		}
		if line := "\ndiscord-cloud " + strings.Join(words, " "); !strings.Contains(string(text), line+" ") && !strings.Contains(string(text), line+"\n") {
			t.Errorf("the README does not say %q", strings.TrimSpace(line))
		}
	}
}

// help stands for --help, as behind other programs.
func TestRun_help(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"admin", "help"}, {"admin", "user", "help"}} {
		var out, bad strings.Builder
		if code := run(args, strings.NewReader(""), &out, &bad); code != 0 || !strings.Contains(out.String(), "Usage: discord-cloud "+strings.Join(args[:len(args)-1], " ")) {
			t.Errorf("%q = %d: %s%s", args, code, out.String(), bad.String())
		}
	}
}
