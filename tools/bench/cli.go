package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"discordcloud/tools/internal/rig"
)

// shell is somebody signed in at a command line.
type shell struct {
	binary string
	env    []string
}

// shell signs in to the product.
func (w *world) shell(ctx context.Context) (*shell, error) {
	s := &shell{binary: w.binary, env: []string{"DISCORD_CLOUD_SESSION=" + filepath.Join(w.dir, "session.json")}}
	name, password := rig.Administrator()
	return s, s.run(ctx, password+"\n", "login", w.base, name)
}

func (s *shell) run(ctx context.Context, in string, args ...string) error {
	cmd := exec.CommandContext(ctx, s.binary, args...)
	cmd.Env, cmd.Stdin = s.env, strings.NewReader(in)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("discord-cloud %s: %w: %s", args[0], err, out[:min(len(out), 1000)])
	}
	return nil
}

// cliLarge is the large file by put and get, from and to memory, against who sends
// and receives as the page does. Both commands compute the hash of the whole file,
// which the others do not.
func cliLarge(ctx context.Context, w *world) ([]result, error) {
	f, err := w.large(ctx)
	if err != nil {
		return nil, err
	}
	s, err := w.shell(ctx)
	if err != nil {
		return nil, err
	}
	local, back := filepath.Join(w.memory, "sent"), filepath.Join(w.memory, "got")
	defer func() { _, _ = os.Remove(local), os.RemoveAll(back) }() // all of the folder goes in the end
	var up, down []sample
	for i := range min(w.runs, 3) {
		sent := rig.Content{Seed: uint64(40 + i), Size: w.size}
		if err := write(local, sent); err != nil {
			return nil, err
		}
		before, err := w.attachments(ctx)
		if err != nil {
			return nil, err
		}
		var u, d sample
		if u.base, _, err = w.timed(w.product, w.size, func() (int64, error) { return w.size, w.client.Upload(ctx, "/bench", "sent", sent) }); err != nil {
			return nil, err
		}
		if err := w.forgetSince(ctx, before); err != nil {
			return nil, err
		}
		if u.got, _, err = w.timed(w.product, w.size, func() (int64, error) {
			return w.size, s.run(ctx, "", "put", local, "/bench", "--on-conflict", "overwrite")
		}); err != nil {
			return nil, err
		}
		if err := w.forgetSince(ctx, before); err != nil {
			return nil, err
		}
		if err := os.Remove(local); err != nil {
			return nil, err
		}
		if d.base, _, err = w.timed(w.product, w.size, func() (int64, error) { return w.save(ctx, f.entry.Path(), back) }); err != nil {
			return nil, err
		}
		if err := os.RemoveAll(back); err != nil {
			return nil, err
		}
		if d.got, _, err = w.timed(w.product, w.size, func() (int64, error) { return w.size, s.run(ctx, "", "get", "/bench/large", "-C", back) }); err != nil {
			return nil, err
		}
		if err := os.RemoveAll(back); err != nil {
			return nil, err
		}
		up, down = append(up, u), append(down, d)
	}
	if e, err := w.client.Lookup(ctx, "/bench/sent"); err == nil { // its attachments are gone
		if err := w.client.Delete(ctx, e); err != nil {
			return nil, err
		}
	}
	return []result{
		result{Row: "cli-up", What: "one file by the command line, up", Against: "the page's own way, without a hash", Unit: "MiB/s", Reach: 0.7}.of(up),
		result{Row: "cli-down", What: "one file by the command line, down", Against: "a client that writes what comes, without a hash", Unit: "MiB/s", Reach: 0.6}.of(down),
	}, nil
}

// save writes what a path of the manager gives into a file.
func (w *world) save(ctx context.Context, from, to string) (int64, error) {
	answer, err := w.client.Get(ctx, from, "")
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	file, err := os.Create(to)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(file, answer.Body)
	return n, errors.Join(err, file.Close())
}
