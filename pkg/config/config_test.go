package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/config"
)

func env(pairs ...string) *config.Env {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return config.New(func(name string) (string, bool) { v, ok := m[name]; return v, ok })
}

func TestEnv_defaults(t *testing.T) {
	e := env("EMPTY", " ")
	if got := e.Int("PORT", 8080, 1, 65535, "port"); got != 8080 {
		t.Errorf("Int = %d, want 8080", got)
	}
	if got := e.String("EMPTY", "def", ""); got != "def" {
		t.Errorf("an empty variable gives %q, want the default", got)
	}
	if !e.Bool("B", true, "") || e.Duration("D", time.Minute, 0, "") != time.Minute || e.Bytes("S", 1<<20, 0, "") != 1<<20 {
		t.Error("defaults are not taken")
	}
	if err := e.Err(); err != nil {
		t.Errorf("Err = %v, want nil", err)
	}
}

func TestEnv_allProblemsAtOnce(t *testing.T) {
	e := env("MANAGER_PORT", "80a", "ON", "maybe", "U", "ftp://x", "T", "-3s", "C", "12,123456789012345678", "L", "loud", "S", "9999999TiB")
	_ = e.Secret("SERVICE_PASSWORD", "shared by the services")
	e.Int("MANAGER_PORT", 8080, 1, 65535, "")
	e.Bool("ON", false, "")
	e.URL("U", "", "", "http", "https")
	e.Duration("T", time.Second, 0, "")
	e.Snowflakes("C", "")
	e.Level("L", slog.LevelInfo, "")
	e.Bytes("S", 1, 1, "")
	e.Need("SERVICE_PASSWORD")
	err := e.Err()
	if !errors.Is(err, cloud.ErrInvalid) {
		t.Fatalf("Err = %v, want ErrInvalid", err)
	}
	for _, name := range []string{"MANAGER_PORT", "ON", "U", "T", "C", "L", "S", "SERVICE_PASSWORD"} {
		if !strings.Contains(err.Error(), "\n"+name+": ") {
			t.Errorf("no line for %s in:\n%v", name, err)
		}
	}
	if !strings.Contains(err.Error(), "SERVICE_PASSWORD: missing (shared by the services)") {
		t.Errorf("the missing secret is not explained:\n%v", err)
	}
}

func TestSecret_neverShows(t *testing.T) {
	s := config.Secret("hunter2hunter2")
	type holder struct{ S config.Secret }
	j, err := json.Marshal(holder{s})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "s", s, "h", holder{s})
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "s", s, "h", holder{s})
	for _, text := range []string{
		fmt.Sprint(s), fmt.Sprintf("%s %v %+v %#v %q %x %d", s, s, s, s, s, s, s), fmt.Sprintf("%+v %#v %d", holder{s}, holder{s}, holder{s}), string(j), log.String(),
	} {
		if strings.Contains(text, "hunter2") || strings.Contains(text, "68756e74") || strings.Contains(text, "104 117") {
			t.Errorf("the secret shows in %q", text)
		}
	}
	if s.Reveal() != "hunter2hunter2" {
		t.Error("Reveal does not give the text")
	}
}

func TestBytes_roundTrip(t *testing.T) {
	for _, n := range []int64{0, 1, 1023, 1024, 1025, 64 << 20, 1 << 40, 1<<62 + 1} {
		got, err := config.ParseBytes(config.FormatBytes(n))
		if err != nil || got != n {
			t.Errorf("ParseBytes(FormatBytes(%d)) = %d, %v", n, got, err)
		}
	}
	for _, bad := range []string{"", "x", "-1", "1.5GiB", "9223372036854775807KiB", "1 GB"} {
		if n, err := config.ParseBytes(bad); err == nil {
			t.Errorf("ParseBytes(%q) = %d, want an error", bad, n)
		}
	}
}

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.env")
	if err := os.WriteFile(path, []byte("# comment\n\nA=1\nexport B=\"two words\"\nC='x=y'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	vars, err := config.ReadFile(path)
	if err != nil || vars["A"] != "1" || vars["B"] != "two words" || vars["C"] != "x=y" || len(vars) != 3 {
		t.Errorf("ReadFile = %v, %v", vars, err)
	}
	if err := os.WriteFile(path, []byte("A=1\nnonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.ReadFile(path); !errors.Is(err, cloud.ErrInvalid) || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("ReadFile of a bad line = %v", err)
	}
	t.Setenv("A", "from the environment")
	if v, _ := config.Overlay(vars)("A"); v != "from the environment" {
		t.Errorf("Overlay gives %q, want the environment first", v)
	}
}
