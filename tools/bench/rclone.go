package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"discordcloud/tools/internal/rig"
)

// rclone is the program, with the product as its remote "d:".
type rclone struct {
	path, version string
	env           []string
}

// rclone gives nil, and tells it, where there is no rclone.
func (w *world) rclone(ctx context.Context, s *davSession) (*rclone, error) {
	path, err := exec.LookPath("rclone")
	if err != nil {
		_, _ = fmt.Fprintln(w.log, "  left out: rclone is not installed")
		return nil, nil
	}
	r := &rclone{path: path, env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "RCLONE_CONFIG=" + filepath.Join(w.dir, "rclone.conf")}}
	hidden, err := r.run(ctx, "obscure", s.password)
	if err != nil {
		return nil, err
	}
	version, err := r.run(ctx, "version")
	if err != nil {
		return nil, err
	}
	r.version, _, _ = strings.Cut(version, "\n")
	// Its pause of 10 ms between calls is no part of what is measured; versions that
	// do not let it be switched off take no notice.
	r.env = append(r.env, "RCLONE_CONFIG_D_TYPE=webdav", "RCLONE_CONFIG_D_VENDOR=owncloud", "RCLONE_CONFIG_D_URL="+s.base,
		"RCLONE_CONFIG_D_USER="+davUser, "RCLONE_CONFIG_D_PASS="+strings.TrimSpace(hidden), "RCLONE_WEBDAV_PACER_MIN_SLEEP=0s")
	return r, nil
}

func (r *rclone) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, r.path, args...)
	cmd.Env = r.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("rclone %s: %w: %s", args[0], err, out[:min(len(out), 1000)])
	}
	return string(out), nil
}

// rcloneLarge is the large file by rclone, both ways, against the page's own: what
// comes down by WebDAV is compared with what the same program gets from the page's
// address, since how it writes a file is the same for both. To a server of the vendor "owncloud" rclone
// sends a sum in front, for which it reads the whole file before the first byte goes:
// what it does alone is not ours to make faster, so the vendor is "other". That it
// reads the file once more to compare a sum is left out as well.
func rcloneLarge(ctx context.Context, w *world) ([]result, error) {
	f, err := w.large(ctx)
	if err != nil {
		return nil, err
	}
	s, err := w.dav(ctx)
	if err != nil {
		return nil, err
	}
	r, err := w.rclone(ctx, s)
	if r == nil || err != nil {
		return nil, err
	}
	run := func(args ...string) error {
		_, err := r.run(ctx, append(args, "--retries", "1")...)
		return err
	}
	up, down, err := w.moveLarge(ctx, f, mover{
		put: func(local string) error {
			return run("copy", local, "d:bench", "--webdav-vendor", "other", "--ignore-times", "--ignore-checksum")
		},
		get: func(back string) error { return run("copyto", "d:bench/large", back, "--ignore-checksum") },
		plain: func(back string) error {
			return run("copyurl", w.base+f.entry.Path(), back, "--header", "Authorization: Bearer "+w.client.Token())
		},
	})
	return []result{
		result{
			Row: "rclone-up", What: "one file to WebDAV by " + r.version, Against: "the page's own way", Unit: "MiB/s", Reach: 0.7,
		}.of(up),
		result{
			Row: "rclone-down", What: "one file from WebDAV by " + r.version, Against: "rclone from the page's address", Unit: "MiB/s", Reach: 0.7,
		}.of(down),
	}, err
}

// rcloneSmall is a thousand small files by rclone, against the page. Where rclone
// cannot leave out its pause between calls, that is what would be measured.
func rcloneSmall(ctx context.Context, w *world) ([]result, error) {
	s, err := w.dav(ctx)
	if err != nil {
		return nil, err
	}
	r, err := w.rclone(ctx, s)
	if r == nil || err != nil {
		return nil, err
	}
	flags, err := r.run(ctx, "help", "flags")
	if err != nil {
		return nil, err
	}
	if !strings.Contains(flags, "webdav-pacer-min-sleep") {
		_, _ = fmt.Fprintf(w.log, "  left out: %s pauses 10 ms between calls, and cannot be told not to\n", r.version)
		return nil, nil
	}
	src, err := os.MkdirTemp(w.memory, "small")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(src) }() // all of the folder goes in the end
	for i := range smallCount {
		if err := write(filepath.Join(src, fmt.Sprintf("%05d", i)), rig.Content{Seed: uint64(i), Size: smallSize}); err != nil {
			return nil, err
		}
	}
	return w.small(ctx, result{
		Row: "rclone-small", What: fmt.Sprintf("1,000 files of 4 KiB by %s, 8 at a time", r.version),
	}, func(folder string) error {
		_, err := r.run(ctx, "copy", src, "d:"+strings.TrimPrefix(folder, "/"), "--transfers", "8", "--retries", "1")
		return err
	})
}
