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

	"discordcloud/manager"
	"discordcloud/pkg/blob/discordblob"
	"discordcloud/pkg/client"
	"discordcloud/pkg/discord"
	"discordcloud/pkg/retry"
	"discordcloud/pkg/sandbox"
	"discordcloud/tools/internal/rig"
)

// soak is a product under faults, with its clients.
type soak struct {
	options
	sandbox *sandbox.Server
	product interface{ Close() error }
	trouble *trouble // nil where the product is in this process, and is left alone
	base    string   // where people sign in
	owner   *rig.Client
	clients []*worker
	common  common
	tally   tally
	faults  map[string]int // by kind, as the sandbox counted them
	left    int            // attachments at the end
}

const (
	// attachmentLimit is small, so that files of a few MiB have many chunks.
	attachmentLimit = 1 << 20
	// versions is how many former contents are kept of a file.
	versions = 2
	services = 3
	// little is what every fourth client may have, in bytes.
	little = 24 << 20
)

// open starts everything. No fault has begun.
func open(ctx context.Context, dir string, o options) (s *soak, err error) {
	s = &soak{options: o}
	if o.on == onHere {
		err = s.openHere(ctx, dir)
	} else {
		err = s.openProcesses(ctx, dir)
	}
	if err != nil {
		return nil, err
	}
	if err := s.connect(ctx); err != nil {
		return nil, errors.Join(err, s.product.Close())
	}
	return s, nil
}

// openHere starts the product in this process.
func (s *soak) openHere(ctx context.Context, dir string) error {
	p, err := rig.Start(ctx, rig.Config{
		Dir: dir, Services: services, Capacity: 8, Sandbox: s.discord(),
		Discord: discord.Options{
			AttachmentLimit: attachmentLimit, RequestLimit: 5<<19 - 16<<10,
			Stall: 2 * time.Second, AnswerTimeout: 10 * time.Second, Unstated: time.Second,
			Retry: retry.Policy{Tries: 8, Waits: 40, First: 50 * time.Millisecond, Most: 2 * time.Second, Longest: time.Minute},
		},
		Store:     discordblob.Options{Resumes: 8},
		Retention: manager.Retention{Trash: 24 * time.Hour, Versions: versions, VersionAge: 24 * time.Hour},
		Collect:   manager.Collect{Grace: 3 * time.Second, Daily: 1_000_000},
	})
	if err != nil {
		return err
	}
	s.sandbox, s.product = p.Sandbox, p
	s.base = p.URL
	s.owner, err = rig.SetUp(ctx, s.base)
	if err != nil {
		return errors.Join(err, p.Close())
	}
	return nil
}

func (s *soak) discord() sandbox.Config {
	return sandbox.Config{
		Mode: sandbox.Live, Scale: 20, Seed: s.seed, NoSync: true,
		Limits: sandbox.Limits{FileSize: attachmentLimit, RequestSize: 5 << 19},
	}
}

// connect makes the clients, each with an account of its own.
func (s *soak) connect(ctx context.Context) error {
	if err := s.owner.Ready(ctx, services); err != nil {
		return err
	}
	for i := range s.number {
		w := &worker{
			soak: s, number: i, account: fmt.Sprintf("client%d", i), random: rand.New(rand.NewPCG(s.seed, uint64(i))),
			files: tree{}, trash: map[int64]trashed{}, purged: map[int64]bool{},
		}
		w.folder = "/of " + w.account
		if err := w.arrive(ctx); err != nil {
			return fmt.Errorf("client %d: %w", i, err)
		}
		s.clients = append(s.clients, w)
	}
	return s.common.open(ctx, s)
}

// arrive makes an account, signs in, and makes a folder.
func (w *worker) arrive(ctx context.Context) error {
	const password = "correct horse battery staple"
	var made struct{ User struct{ ID int64 } }
	owner := w.soak.owner
	if err := owner.Do(ctx, "POST", "/api/users", map[string]any{"username": w.account, "password": password}, &made); err != nil {
		return err
	}
	w.user = made.User.ID
	if w.number%4 == 3 {
		w.most = little
		if err := owner.Do(ctx, "PUT", fmt.Sprintf("/api/quotas/%d", w.user), map[string]any{"bytes": w.most}, nil); err != nil {
			return err
		}
	}
	var err error
	if w.client, err = rig.SignInAs(ctx, w.soak.base, w.account, password); err != nil {
		return err
	}
	if w.soak.trouble != nil {
		w.soak.trouble.route(w.client)
	}
	w.program = client.New(client.Session{Server: w.client.Base, Token: w.client.Token()}, client.Options{Transport: w.client.HTTP.Transport})
	var app struct{ Password string }
	if err := w.client.Do(ctx, "POST", "/api/app-passwords", map[string]any{}, &app); err != nil {
		return err
	}
	w.password = app.Password
	w.files[w.folder] = nil
	return errors.Join(
		w.client.Do(ctx, "POST", "/api/entries/0/folders", map[string]any{"name": strings.TrimPrefix(w.folder, "/")}, nil),
		w.client.Connect(ctx),
	)
}

func (s *soak) close() {
	for _, w := range s.clients {
		w.program.Close()
		w.client.Close()
	}
	if err := s.product.Close(); err != nil {
		s.tally.fail("the product does not end well: %v", err)
	}
}

// run lets the clients work for so long, with rests in which everything is healed
// and compared.
func (s *soak) run(ctx context.Context) error {
	for end := time.Now().Add(s.long); time.Now().Before(end); {
		if err := s.round(ctx, min(s.rest, time.Until(end))); err != nil {
			return err
		}
	}
	if s.trouble != nil {
		if err := s.trouble.renew(ctx); err != nil {
			return err
		}
	}
	if err := s.clients[0].client.Delete(ctx, rig.Entry{ID: s.common.folder}); err != nil {
		return err
	}
	s.each(func(w *worker) { w.leave(ctx) })
	if err := s.collect(ctx, true); err != nil {
		return err
	}
	return s.emptied(ctx)
}

func (s *soak) round(ctx context.Context, long time.Duration) error {
	s.sandbox.Faults().Add(script(s.worse)...)
	working, stop := context.WithTimeout(ctx, long)
	defer stop()
	var group sync.WaitGroup
	for _, w := range s.clients {
		group.Go(func() { w.work(ctx, working.Done()) })
	}
	group.Go(func() { s.collectNowAndThen(ctx, working) })
	if s.trouble != nil {
		group.Go(func() { s.trouble.make(working) })
	}
	group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.faults == nil {
		s.faults = map[string]int{}
	}
	for kind, n := range s.sandbox.Faults().Counts() {
		s.faults[kind] += n
	}
	s.sandbox.Faults().Clear()
	if s.trouble != nil {
		if err := s.trouble.heal(ctx); err != nil {
			return err
		}
	}
	s.each(func(w *worker) { w.settle(ctx) })
	owned := s.common.verify(ctx, s)
	s.each(func(w *worker) { w.verify(ctx, owned[w.user]) })
	if s.trouble != nil {
		if err := s.trouble.check(ctx); err != nil {
			s.tally.fail("%v", err)
		}
	}
	if s.trouble != nil {
		return nil // who goes away in the middle of a message takes bytes along, and the others go with another one
	}
	return s.postedOnce()
}

func (s *soak) each(do func(*worker)) {
	var group sync.WaitGroup
	for _, w := range s.clients {
		group.Go(func() { do(w) })
	}
	group.Wait()
}

// collectNowAndThen has what is of no use deleted, while the clients work.
func (s *soak) collectNowAndThen(ctx, working context.Context) {
	for {
		select {
		case <-working.Done():
			return
		case <-time.After(5 * time.Second):
		}
		doing, cancel := context.WithTimeout(ctx, patience)
		if err := s.collect(doing, false); err != nil {
			if s.trouble == nil {
				s.tally.fail("collect: %v", err)
			} else {
				s.tally.missed("collect", err)
			}
		}
		cancel()
	}
}

// collect has what is of no use deleted, as if it had been of none for long; all of
// it with what nothing has ever referred to.
func (s *soak) collect(ctx context.Context, all bool) error {
	if s.trouble != nil {
		if err := s.trouble.pass(all); err != nil {
			return err
		}
	}
	return s.owner.Do(ctx, "POST", "/api/admin/jobs/collector", map[string]any{"run": true}, nil)
}

// emptied waits until nothing is left of what was deleted.
func (s *soak) emptied(ctx context.Context) error {
	for deadline := time.Now().Add(patience); ; {
		var is struct {
			Messages, Skipped int64
			Due               struct{ Messages int64 }
			Garbage           struct{ Objects int64 }
		}
		if err := s.owner.Do(ctx, "GET", "/api/admin/storage", nil, &is); err != nil {
			return err
		}
		all, err := s.sandbox.Attachments()
		if err != nil {
			return err
		}
		s.left = len(all)
		var quotas struct {
			All struct{ Used, Reserved amount }
		}
		if err := s.owner.Do(ctx, "GET", "/api/quotas", nil, &quotas); err != nil {
			return err
		}
		if quotas.All.Used == (amount{}) && quotas.All.Reserved == (amount{}) && is.Messages+is.Due.Messages+is.Skipped+is.Garbage.Objects == 0 && (s.trouble == nil || s.left == 0) {
			return nil
		}
		if time.Now().After(deadline) {
			s.tally.fail("all was deleted, and what is left is %+v, %+v, and %d attachments", is, quotas.All, len(all))
			return nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := s.collect(ctx, true); err != nil {
			return err
		}
	}
}

// postedOnce looks for attachments that are the same sealing of the same chunk:
// a repeat must find the message that is there. What was sealed anew is an orphan
// at the worst, and no fault.
func (s *soak) postedOnce() error {
	all, err := s.sandbox.Attachments()
	if err != nil {
		return err
	}
	seen := map[[48]byte]string{}
	for _, a := range all {
		f, err := os.Open(a.Path)
		if errors.Is(err, os.ErrNotExist) {
			continue // the collector has just been there
		}
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
	return nil
}

func (s *soak) summary() string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "soak: %d MiB verified, %d attachments at the end; %s", s.tally.bytes>>20, s.left, counts(s.tally.done))
	if s.trouble != nil {
		_, _ = fmt.Fprintf(&b, "\nsoak: cut off: %s\nsoak: %s", counts(s.tally.cut), s.trouble.summary())
	}
	requests := int64(0)
	for _, n := range s.sandbox.Stats().Requests {
		requests += n
	}
	_, _ = fmt.Fprintf(&b, "\nsoak: %d requests to Discord with faults: %s\nsoak: %d failures", requests, counts(s.faults), len(s.tally.failures()))
	return b.String()
}

// counts tells how many there were of each kind, and of all.
func counts(of map[string]int) string {
	var kinds []string
	total := 0
	for _, kind := range slices.Sorted(maps.Keys(of)) {
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, of[kind]))
		total += of[kind]
	}
	return fmt.Sprintf("%d (%s)", total, strings.Join(kinds, ", "))
}
