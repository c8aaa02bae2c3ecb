package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"discordcloud/pkg/blob/discordblob"
	"discordcloud/pkg/discord"
	"discordcloud/pkg/retry"
	"discordcloud/pkg/sandbox"
	"discordcloud/tools/internal/rig"
)

// soak is a product under faults, with its clients.
type soak struct {
	seed    uint64
	product *rig.Product
	owner   *rig.Client
	clients []*worker
	tally   tally
	faults  map[string]int // by kind, as the sandbox counted them
	orphans int            // attachments that nothing refers to
}

// attachmentLimit is small, so that files of a few MiB have many chunks.
const attachmentLimit = 1 << 20

// open starts everything. No fault has begun.
func open(ctx context.Context, dir string, seed uint64, clients int) (*soak, error) {
	p, err := rig.Start(ctx, rig.Config{
		Dir: dir, Capacity: 8,
		Sandbox: sandbox.Config{
			Mode: sandbox.Live, Scale: 20, Seed: seed, NoSync: true,
			Limits: sandbox.Limits{FileSize: attachmentLimit, RequestSize: 5 << 19},
		},
		Discord: discord.Options{
			AttachmentLimit: attachmentLimit, RequestLimit: 5<<19 - 16<<10,
			Stall: 2 * time.Second, AnswerTimeout: 10 * time.Second, Unstated: time.Second,
			Retry: retry.Policy{Tries: 8, Waits: 40, First: 50 * time.Millisecond, Most: 2 * time.Second, Longest: time.Minute},
		},
		Store: discordblob.Options{Resumes: 8},
	})
	if err != nil {
		return nil, err
	}
	s := &soak{seed: seed, product: p}
	if err := s.connect(ctx, clients); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return s, nil
}

func (s *soak) connect(ctx context.Context, n int) error {
	var err error
	if s.owner, err = rig.SetUp(ctx, s.product.URL); err != nil {
		return err
	}
	if err := s.owner.Ready(ctx, 3); err != nil {
		return err
	}
	for i := range n {
		c, err := rig.SignIn(ctx, s.product.URL)
		if err == nil {
			err = c.Connect(ctx)
		}
		if err != nil {
			return err
		}
		s.clients = append(s.clients, &worker{
			soak: s, client: c, folder: fmt.Sprintf("/client %d", i),
			random: rand.New(rand.NewPCG(s.seed, uint64(i))), files: map[string]rig.Content{}, unsure: map[string]bool{},
		})
	}
	return nil
}

func (s *soak) close() {
	for _, w := range s.clients {
		w.client.Close()
	}
	if err := s.product.Close(); err != nil {
		s.tally.fail("the product does not end well: %v", err)
	}
}

// run lets the clients work for so long, then heals the sandbox and compares
// everything.
func (s *soak) run(ctx context.Context, long time.Duration, faults []sandbox.Rule) error {
	s.product.Sandbox.Faults().Add(faults...)
	working, stop := context.WithTimeout(ctx, long)
	defer stop()
	var group sync.WaitGroup
	for _, w := range s.clients {
		group.Go(func() { w.work(ctx, working.Done()) })
	}
	group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.faults = s.product.Sandbox.Faults().Counts()
	s.product.Sandbox.Faults().Clear()
	for _, w := range s.clients {
		group.Go(func() { w.verify(ctx) })
	}
	group.Wait()
	return s.postedOnce()
}

// postedOnce looks for attachments that are the same sealing of the same chunk:
// a repeat must find the message that is there. What was sealed anew is an orphan
// at the worst, and no fault.
func (s *soak) postedOnce() error {
	all, err := s.product.Sandbox.Attachments()
	if err != nil {
		return err
	}
	seen := map[[48]byte]string{}
	for _, a := range all {
		f, err := os.Open(a.Path)
		if err != nil {
			return err
		}
		var sealing [48]byte // the object's id and the salt
		_, err = f.ReadAt(sealing[:], 0)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		if first, twice := seen[sealing]; twice {
			s.tally.fail("attachments %s and %s are the same sealing, posted twice", first, a.ID)
		}
		seen[sealing] = a.ID
	}
	s.orphans = len(all)
	return nil
}

func (s *soak) summary() string {
	var b strings.Builder
	files := 0
	for _, w := range s.clients {
		files += len(w.files)
	}
	_, _ = fmt.Fprintf(&b, "soak: %d MiB verified, %d files at the end, %d attachments;", s.tally.bytes>>20, files, s.orphans)
	for _, kind := range slices.Sorted(maps.Keys(s.tally.done)) {
		_, _ = fmt.Fprintf(&b, " %s %d,", kind, s.tally.done[kind])
	}
	total := 0
	for _, n := range s.faults {
		total += n
	}
	_, _ = fmt.Fprintf(&b, " %d faults (", total)
	for i, kind := range slices.Sorted(maps.Keys(s.faults)) {
		if i > 0 {
			b.WriteString(", ")
		}
		_, _ = fmt.Fprintf(&b, "%s %d", kind, s.faults[kind])
	}
	st := s.product.Sandbox.Stats()
	_, _ = fmt.Fprintf(&b, ") in %d requests, %d failures", total64(st.Requests), len(s.tally.failures()))
	return b.String()
}

func total64(m map[string]int64) (n int64) {
	for _, v := range m {
		n += v
	}
	return n
}
