package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"discordcloud/tools/internal/rig"
)

// library is the product with a database that has grown, and its services in one
// process, as people run it.
type library struct {
	*world
	catalogue
	name    string // of the database's kind
	env     []string
	product *process
	base    string
	client  *rig.Client
	friend  *rig.Client // to whom some files are shared
	started time.Duration
}

// The kinds of database.
const (
	inSQLite   = "SQLite"
	inPostgres = "PostgreSQL"
)

// A second user of it.
const (
	friendName     = "friend"
	friendPassword = "another correct horse"
)

// grown makes a database of w.entries files, or gives the one that was made for
// an earlier row. The product starts again on it.
func (w *world) grown(ctx context.Context, name string) (*library, error) {
	if l := w.libraries[name]; l != nil {
		return l, l.product.ended()
	}
	if err := w.prepare(ctx); err != nil {
		return nil, err
	}
	dir := filepath.Join(w.dir, name)
	l := &library{world: w, catalogue: newCatalogue(w.entries), name: name, env: []string{"DATA_DIR=" + dir}}
	driver, source := "sqlite", "file:"+filepath.Join(dir, "discord-cloud.db")
	if name == inPostgres {
		address, err := w.postgres(ctx)
		if err != nil {
			return nil, err
		}
		l.env, driver, source = append(l.env, "DATABASE_URL="+address), "pgx", address
	}
	if err := l.begin(ctx); err != nil {
		return nil, err
	}
	var made struct{ User struct{ ID int64 } }
	if err := l.client.Do(ctx, "POST", "/api/users", map[string]any{"username": friendName, "password": friendPassword}, &made); err != nil {
		return nil, err
	}
	l.end()
	start := time.Now()
	if err := l.fill(ctx, driver, source, made.User.ID); err != nil {
		return nil, fmt.Errorf("fill %s: %w", name, err)
	}
	filled := time.Since(start)
	if err := l.sound(ctx); err != nil {
		return nil, err
	}
	_, _ = fmt.Fprintf(w.log, "%-14s %d files made in %.0f s, and found sound\n", name, l.files, filled.Seconds())
	w.libraries[name] = l
	return l, l.begin(ctx)
}

// begin starts the product and signs in, or sets it up.
func (l *library) begin(ctx context.Context) error {
	port, err := rig.FreePort()
	if err != nil {
		return err
	}
	start := time.Now()
	l.base = "http://127.0.0.1:" + port
	l.product, err = launch(l.binary, append(slices.Clone(l.env), "MANAGER_PORT="+port, "SHUTDOWN_GRACE=1s", "LOG_LEVEL=warn",
		"DISCORD_BOT_TOKEN="+l.sandbox.about.Token, "DISCORD_CHANNEL_IDS="+strings.Join(l.sandbox.about.Channels, ","),
		"DISCORD_API_URL="+l.sandbox.about.URL+"/api/v10"), false, "serve")
	if err != nil {
		return err
	}
	if err := healthy(ctx, l.base, l.product); err != nil {
		return err
	}
	l.started = time.Since(start)
	l.client, l.friend = nil, nil
	if l.client, err = rig.SetUp(ctx, l.base); err != nil {
		if l.client, err = rig.SignIn(ctx, l.base); err != nil {
			return err
		}
		l.friend, err = rig.SignInAs(ctx, l.base, friendName, friendPassword)
	}
	return err
}

func (l *library) end() {
	if l.client != nil {
		l.client.Close()
	}
	if l.friend != nil {
		l.friend.Close()
	}
	l.product.stop()
}

// sound has the product itself look at what was made.
func (l *library) sound(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, l.binary, "admin", "check")
	cmd.Env = l.env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the database is not as the product makes it: %w: %s", err, out)
	}
	return nil
}

// page is an answer with a part of something.
type page struct {
	Entries []struct{ ID int64 }
	Next    string
}

// pause keeps below the 50 requests a second that one session may make.
const pause = 25 * time.Millisecond

// ask gets a path, and tells how long that took to the last byte in milliseconds.
func ask(ctx context.Context, c *rig.Client, path string, into any) (float64, error) {
	select {
	case <-time.After(pause):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	start := time.Now()
	answer, err := c.Get(ctx, path, "")
	if err != nil {
		return 0, err
	}
	text, err := io.ReadAll(answer.Body)
	took := time.Since(start)
	if err = errors.Join(err, answer.Body.Close()); err == nil {
		err = json.Unmarshal(text, into)
	}
	return took.Seconds() * 1000, err
}

// pages turns pages of a folder, half of them from its beginning and half from
// its middle.
func (l *library) pages(ctx context.Context, c *rig.Client, folder int64, sort string, limit, n int) ([]sample, error) {
	var took []sample
	at := fmt.Sprintf("/api/entries/%d/children?sort=%s&limit=%d", folder, sort, limit)
	for _, from := range []int{0, l.inBig / 2} {
		path := fmt.Sprintf("%s&offset=%d", at, from)
		for i := range min(n/2+1, (l.inBig-from)/limit) { // whole ones
			var p page
			ms, err := ask(ctx, c, path, &p)
			if err != nil {
				return nil, err
			}
			if len(p.Entries) != limit {
				return nil, fmt.Errorf("a page by %s has %d entries", sort, len(p.Entries))
			}
			if i > 0 { // where a stay begins is not what is measured
				took = append(took, sample{got: ms})
			}
			if path = at; p.Next != "" {
				path += "&after=" + url.QueryEscape(p.Next)
			}
		}
	}
	return took, nil
}

// worst is what all but a hundredth stay below.
func worst(of []sample) []sample {
	sorted := slices.SortedFunc(slices.Values(of), func(a, b sample) int {
		if a.got < b.got {
			return -1
		}
		return 1
	})
	return []sample{sorted[len(sorted)*99/100]}
}

// often asks for paths and tells how long each took.
func (l *library) often(ctx context.Context, n int, path func(i int) string) (took []sample, err error) {
	for i := range n {
		var body json.RawMessage
		ms, err := ask(ctx, l.client, path(i), &body)
		if err != nil {
			return nil, err
		}
		took = append(took, sample{got: ms})
	}
	return took, nil
}

// browsing is what people do most in a database that has grown: whole requests,
// with the sign-in looked up, JSON and the client. What the store takes of it is
// asked by itself, in asking.
func browsing(ctx context.Context, w *world, name string) (all []result, err error) {
	l, err := w.grown(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, by := range []struct{ sort, text string }{{"name", "name"}, {"updated_at", "date"}, {"size", "size"}} {
		if _, err := l.pages(ctx, l.client, l.crowd, by.sort, 100, 20); err != nil { // so that what is kept is there
			return nil, err
		}
		took, err := l.pages(ctx, l.client, l.crowd, by.sort, 100, 20*w.runs)
		if err != nil {
			return nil, err
		}
		what := fmt.Sprintf("%s, %d files: a page of 100 out of %d, by %s", name, l.files, l.inBig, by.text)
		all = append(all, result{Row: name, What: what, Unit: "ms"}.of(took),
			result{Row: name, What: what + ", all but a hundredth", Unit: "ms"}.of(worst(took)))
	}
	found, err := l.often(ctx, 5*w.runs, func(i int) string { return fmt.Sprintf("/api/search?q=ter+%d", i+10) })
	if err != nil {
		return nil, err
	}
	common, err := l.often(ctx, 5*w.runs, func(int) string { return "/api/search?q=OLIDAY" })
	if err != nil {
		return nil, err
	}
	all = append(all, result{Row: name, What: name + ": search for a part of names", Unit: "ms", Reach: 50, AtMost: true}.of(found),
		result{Row: name, What: name + ": search for what a quarter of all names has", Unit: "ms", Reach: 50, AtMost: true}.of(common))
	for _, of := range []struct {
		what   string
		folder int64
	}{{fmt.Sprintf("a folder of %d files", l.inBig), l.crowd}, {"everything", 0}} {
		took, err := l.often(ctx, 10*w.runs, func(int) string { return fmt.Sprintf("/api/entries/%d/sizes", of.folder) })
		if err != nil {
			return nil, err
		}
		all = append(all, result{Row: name, What: name + ": size of " + of.what, Unit: "ms"}.of(took))
	}
	policy, err := l.shared(ctx)
	if err != nil {
		return nil, err
	}
	all = append(all, policy)
	peak, err := l.product.peak()
	return append(all, result{Row: name, What: name + ": resident memory after that", Unit: "MiB", Reach: 150, AtMost: true}.of([]sample{{got: peak}})), err
}

// shared is what it costs to look at shares: pages of 1,000 for somebody whom
// shares give something at some of the files, against pages of their owner.
func (l *library) shared(ctx context.Context) (result, error) {
	var pairs []sample
	for range max(l.runs, 5) {
		var pair sample
		for c, into := range map[*rig.Client]*float64{l.friend: &pair.got, l.client: &pair.base} {
			took, err := l.pages(ctx, c, l.crowd, "name", 1000, 10)
			if err != nil {
				return result{}, err
			}
			*into = median(values(took))
		}
		pairs = append(pairs, pair)
	}
	return result{
		Row: l.name, What: fmt.Sprintf("%s: a page of 1,000 to whom %d files are shared, against its owner's", l.name, l.shares),
		Unit: "ms", Reach: 1.05, AtMost: true,
	}.of(pairs), nil
}

func values(of []sample) (all []float64) {
	for _, s := range of {
		all = append(all, s.got)
	}
	return all
}

// storing is what it takes to add a file, and to start. Empty files have nothing
// to post: what is measured is the request with its three durable transactions, one
// that books it, one with its part, and one that makes the file.
func storing(ctx context.Context, w *world, name string) (all []result, err error) {
	l, err := w.grown(ctx, name)
	if err != nil {
		return nil, err
	}
	var made struct{ Password string }
	if err := l.client.Do(ctx, "POST", "/api/app-passwords", map[string]any{"name": "bench"}, &made); err != nil {
		return nil, err
	}
	s := &davSession{l.base + "/dav", made.Password, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}}
	l.batch++
	folder := fmt.Sprintf("/new-%d", l.batch)
	if err := s.do(ctx, http.StatusCreated, "MKCOL", folder, nil); err != nil {
		return nil, err
	}
	put := func(ctx context.Context, who, i int) error {
		return s.do(ctx, http.StatusCreated, http.MethodPut, fmt.Sprintf("%s/%d-%d.txt", folder, who, i), nil)
	}
	var alone []sample
	for i := range 50 * w.runs {
		start := time.Now()
		if err := put(ctx, 0, i); err != nil {
			return nil, err
		}
		alone = append(alone, sample{got: time.Since(start).Seconds() * 1000})
	}
	const uploaders = 8
	var rates []sample
	for run := range w.runs {
		const each = 40
		group, ctx := errgroup.WithContext(ctx)
		start := time.Now()
		for who := range uploaders {
			group.Go(func() error {
				for i := range each {
					if err := put(ctx, who+1, run*each+i); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return nil, fmt.Errorf("%w: %s", err, l.product.output())
		}
		rates = append(rates, sample{got: 3 * uploaders * each / time.Since(start).Seconds()})
	}
	var starts []sample
	for range w.runs {
		l.end()
		if err := l.begin(ctx); err != nil {
			return nil, err
		}
		starts = append(starts, sample{got: l.started.Seconds()})
	}
	return []result{
		result{Row: name, What: name + ": an empty file by WebDAV, three commits", Unit: "ms", Reach: 15, AtMost: true}.of(alone),
		result{Row: name, What: name + ": commits by 8 uploaders of empty files", Unit: "/s", Reach: 200}.of(rates),
		result{Row: name, What: name + ": from the start of the process to its first answer", Unit: "s", Reach: 1, AtMost: true}.of(starts),
	}, nil
}
