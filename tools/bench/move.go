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
	up, down, err := w.moveLarge(ctx, f, mover{
		put:   func(local string) error { return s.run(ctx, "", "put", local, "/bench", "--on-conflict", "overwrite") },
		get:   func(back string) error { return s.run(ctx, "", "get", "/bench/large", "-C", filepath.Dir(back)) },
		plain: func(back string) error { return w.save(ctx, f.entry.Path(), back) },
	})
	return []result{
		result{Row: "cli-up", What: "one file by the command line, up", Against: "the page's own way, without a hash", Unit: "MiB/s", Reach: 0.7}.of(up),
		result{Row: "cli-down", What: "one file by the command line, down", Against: "a client that writes what comes, without a hash", Unit: "MiB/s", Reach: 0.6}.of(down),
	}, err
}

// save writes what a path of the manager gives into a file.
func (w *world) save(ctx context.Context, from, to string) error {
	answer, err := w.client.Get(ctx, from, "")
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	file, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, answer.Body)
	return errors.Join(err, file.Close())
}

// mover is a program that moves files to and from the product.
type mover struct {
	put   func(local string) error // to /bench, under the name that it has
	get   func(back string) error  // the large file
	plain func(back string) error  // likewise, by what get is compared with
}

// moveLarge has a program move the large file both ways, from and to memory. What
// goes up is compared with the page's own way; what either side posted is deleted
// before the other begins, as in uploading.
func (w *world) moveLarge(ctx context.Context, f *stored, by mover) (up, down []sample, err error) {
	const name = "moved"
	local, back := filepath.Join(w.memory, name), filepath.Join(w.memory, "back", "large")
	defer func() { _, _ = os.Remove(local), os.RemoveAll(filepath.Dir(back)) }() // all of the folder goes in the end
	if err := write(local, f.data); err != nil {
		return nil, nil, err
	}
	for i := range min(w.runs, 3) {
		before, err := w.attachments(ctx)
		if err != nil {
			return nil, nil, err
		}
		var u, d sample
		for _, side := range []struct {
			speed *float64
			put   func() error
		}{
			{&u.base, func() error {
				return w.client.Upload(ctx, "/bench", name, rig.Content{Seed: uint64(20 + i), Size: w.size})
			}},
			{&u.got, func() error { return by.put(local) }},
		} {
			if *side.speed, _, err = w.timed(w.product, w.size, func() (int64, error) { return w.size, side.put() }); err != nil {
				return nil, nil, err
			}
			if err := w.forgetSince(ctx, before); err != nil {
				return nil, nil, err
			}
		}
		for _, side := range []struct {
			speed *float64
			get   func(string) error
		}{{&d.base, by.plain}, {&d.got, by.get}} {
			if err := os.MkdirAll(filepath.Dir(back), 0o700); err != nil {
				return nil, nil, err
			}
			if *side.speed, _, err = w.timed(w.product, w.size, func() (int64, error) {
				if err := side.get(back); err != nil {
					return 0, err
				}
				info, err := os.Stat(back)
				if err != nil {
					return 0, err
				}
				return info.Size(), nil
			}); err != nil {
				return nil, nil, err
			}
			if err := os.RemoveAll(filepath.Dir(back)); err != nil {
				return nil, nil, err
			}
		}
		up, down = append(up, u), append(down, d)
	}
	e, err := w.client.Lookup(ctx, "/bench/"+name)
	if err != nil {
		return nil, nil, err
	}
	return up, down, w.client.Delete(ctx, e) // its attachments are gone
}

// write makes a file of what data says.
func write(path string, data rig.Content) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{file}, data.Reader(0, data.Size), make([]byte, 1<<20))
	return errors.Join(err, file.Close())
}
