// Package config reads settings from the environment: each declared once, with
// its default and its bounds, all problems reported together. The declarations
// also print the configuration. What the settings mean is known elsewhere.
package config

import (
	"encoding"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"discordcloud/pkg/cloud"
)

// Secret is a text that never shows: not under any verb of fmt, not in JSON,
// not in logs. Reveal gives it.
type Secret string

const hidden = "(secret)"

var (
	_ fmt.Formatter          = Secret("")
	_ encoding.TextMarshaler = Secret("")
	_ slog.LogValuer         = Secret("")
)

// Format hides the secret under every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.shown())) }

// MarshalText hides the secret in JSON and its kin.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.shown()), nil }

// LogValue hides the secret in logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.shown()) }

// Reveal is the text itself.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) shown() string {
	if s == "" {
		return ""
	}
	return hidden
}

// Var is one declared setting, as it is in force.
type Var struct {
	Name    string
	Value   string // in force; a secret is hidden
	Default string // "" if there is none
	Help    string
	Set     bool // given, not defaulted
}

// Env collects declarations and problems. It is used by one goroutine.
type Env struct {
	lookup   func(string) (string, bool)
	vars     []Var
	problems []string
}

// New reads through lookup, usually os.LookupEnv. A variable that is set to the
// empty text counts as not set.
func New(lookup func(string) (string, bool)) *Env {
	return &Env{lookup: lookup}
}

// Err gives every problem, one per line, or nil.
func (e *Env) Err() error {
	if len(e.problems) == 0 {
		return nil
	}
	return fmt.Errorf("%w configuration:\n%s", cloud.ErrInvalid, strings.Join(e.problems, "\n"))
}

// Vars lists what has been declared, in order.
func (e *Env) Vars() []Var { return e.vars }

// Problemf adds a problem that a declaration alone could not see.
func (e *Env) Problemf(name, format string, args ...any) {
	e.problems = append(e.problems, name+": "+fmt.Sprintf(format, args...))
}

func (e *Env) get(name, def, help string, secret bool) (string, bool) {
	text, ok := e.lookup(name)
	text = strings.TrimSpace(text)
	set := ok && text != ""
	v := Var{Name: name, Value: text, Default: def, Help: help, Set: set}
	switch {
	case !set:
		v.Value = def
	case secret:
		v.Value = hidden
	}
	e.vars = append(e.vars, v)
	return text, set
}

// String is a text; def if it is not set.
func (e *Env) String(name, def, help string) string {
	if text, ok := e.get(name, def, help, false); ok {
		return text
	}
	return def
}

// Secret is a text that never shows; "" if it is not set.
func (e *Env) Secret(name, help string) Secret {
	text, _ := e.get(name, "", help, true)
	return Secret(text)
}

// Need reports each of the named settings that is not set.
func (e *Env) Need(names ...string) {
	for _, name := range names {
		for _, v := range e.vars {
			if v.Name == name && !v.Set {
				e.Problemf(name, "missing (%s)", v.Help)
			}
		}
	}
}

// Int is a whole number in [least, most].
func (e *Env) Int(name string, def, least, most int, help string) int {
	text, ok := e.get(name, strconv.Itoa(def), help, false)
	if !ok {
		return def
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		e.Problemf(name, "%q is not a whole number in [%d, %d]", text, least, most)
		return def
	}
	return n
}

// Bool is 1, true, yes, on or 0, false, no, off.
func (e *Env) Bool(name string, def bool, help string) bool {
	shown := "0"
	if def {
		shown = "1"
	}
	text, ok := e.get(name, shown, help, false)
	if !ok {
		return def
	}
	switch strings.ToLower(text) {
	case "1", "true", "yes", "on":
		return true
	case "0", "false", "no", "off":
		return false
	}
	e.Problemf(name, "%q is neither 1 nor 0", text)
	return def
}

// Duration is a length of time such as 30s, 5m or 1h30m, at least least.
func (e *Env) Duration(name string, def, least time.Duration, help string) time.Duration {
	text, ok := e.get(name, def.String(), help, false)
	if !ok {
		return def
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < least {
		e.Problemf(name, "%q is not a length of time of at least %s", text, least)
		return def
	}
	return d
}

// Bytes is a size such as 64MiB, 1GiB or a plain number, at least least.
func (e *Env) Bytes(name string, def, least int64, help string) int64 {
	text, ok := e.get(name, FormatBytes(def), help, false)
	if !ok {
		return def
	}
	n, err := ParseBytes(text)
	if err != nil || n < least {
		e.Problemf(name, "%q is not a size of at least %s", text, FormatBytes(least))
		return def
	}
	return n
}

// List is a comma-separated list without empty elements.
func (e *Env) List(name, help string) []string {
	text, _ := e.get(name, "", help, false)
	var list []string
	for _, part := range strings.Split(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// Snowflakes is a List of Discord's ids.
func (e *Env) Snowflakes(name, help string) []string {
	list := e.List(name, help)
	for _, id := range list {
		if _, err := strconv.ParseUint(id, 10, 64); err != nil || len(id) < 15 {
			e.Problemf(name, "%q is not one of Discord's ids (15 to 20 digits)", id)
		}
	}
	return list
}

// URL is an absolute address with one of the schemes, without query and
// fragment; "" if it is not set and def is "".
func (e *Env) URL(name, def, help string, schemes ...string) string {
	text, ok := e.get(name, def, help, false)
	if !ok {
		return def
	}
	if !isURL(text, schemes) {
		e.Problemf(name, "%q is not an address like %s://host:port", text, schemes[0])
		return def
	}
	return strings.TrimRight(text, "/")
}

func isURL(text string, schemes []string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && u.RawQuery == "" && u.Fragment == "" && u.User == nil && slices.Contains(schemes, u.Scheme)
}

// URLs is a List of addresses, each once.
func (e *Env) URLs(name, help string, schemes ...string) []string {
	var list []string
	for _, text := range e.List(name, help) {
		if !isURL(text, schemes) {
			e.Problemf(name, "%q is not an address like %s://host:port", text, schemes[0])
		}
		if text = strings.TrimRight(text, "/"); !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return list
}

// Level is a level of logging: debug, info, warn or error.
func (e *Env) Level(name string, def slog.Level, help string) slog.Level {
	text, ok := e.get(name, strings.ToLower(def.String()), help, false)
	if !ok {
		return def
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(text)); err != nil {
		e.Problemf(name, "%q is not debug, info, warn or error", text)
		return def
	}
	return l
}

// Overlay looks a name up in the environment first, then in file.
func Overlay(file map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if v, ok := os.LookupEnv(name); ok && v != "" {
			return v, true
		}
		v, ok := file[name]
		return v, ok
	}
}

// ReadFile reads lines of NAME=value; empty lines and those that begin with #
// are left out, quotes around a value are taken off. A missing file is
// fs.ErrNotExist.
func ReadFile(path string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	vars := map[string]string{}
	var bad []error
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			bad = append(bad, fmt.Errorf("%w: %s, line %d: not NAME=value", cloud.ErrInvalid, path, i+1))
			continue
		}
		value = strings.TrimSpace(value)
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		vars[name] = value
	}
	return vars, errors.Join(bad...)
}
