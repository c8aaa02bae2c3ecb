package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"discordcloud/manager"
)

type collectCmd struct {
	DryRun bool `xor:"do" help:"Tell what would be deleted from Discord now; change nothing."`
	Pause  bool `xor:"do" help:"Delete nothing more until --resume."`
	Resume bool `xor:"do" help:"Take up again what was paused."`
	Retry  bool `xor:"do" help:"Try again what Discord did not let us delete."`
}

// Run works on the database alone, also while the server runs, which deletes.
func (c collectCmd) Run(ctx context.Context, a *app) error {
	settings := a.collect()
	admin, err := a.openAdmin(ctx)
	if err != nil {
		return err
	}
	return errors.Join(c.do(ctx, admin, a.stdout, settings.Grace), admin.Close())
}

func (c collectCmd) do(ctx context.Context, admin *manager.Admin, out io.Writer, grace time.Duration) error {
	say := func(format string, args ...any) error {
		_, err := fmt.Fprintf(out, format, args...)
		return err
	}
	switch {
	case c.DryRun:
		p, err := admin.PreviewCollect(ctx, grace)
		if err != nil {
			return err
		}
		return say("%d messages of %d bytes would go, %d more are due\n%d messages stay for what else is in them; %d bytes there are of no use\n",
			p.Messages, p.Bytes, p.Due, p.Kept, p.KeptBytes)
	case c.Pause, c.Resume:
		if err := admin.PauseCollect(ctx, c.Pause); err != nil {
			return err
		}
		if c.Pause {
			return say("paused: nothing is deleted from Discord until --resume\n")
		}
		return say("resumed\n")
	case c.Retry:
		n, err := admin.RetryCollect(ctx)
		if err != nil {
			return err
		}
		return say("%d messages are tried again\n", n)
	}
	t, paused, err := admin.CollectTally(ctx)
	if err != nil {
		return err
	}
	state := "running"
	if paused {
		state = "paused"
	}
	return say("collector: %s\nstored:    %d messages, %d bytes\ngarbage:   %d objects, %d bytes of these\ndue:       %d messages, %d bytes\ndeleted:   %d messages, %d bytes\nmissing:   %d messages\nskipped:   %d messages\norphans:   %d messages, %d bytes\n",
		state, t.Messages, t.MessagesBytes, t.Garbage, t.GarbageBytes,
		t.Due, t.DueBytes, t.Deleted, t.DeletedBytes, t.Missing, t.Skipped,
		t.Orphans, t.OrphanBytes)
}
