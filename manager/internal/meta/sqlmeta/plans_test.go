//go:build unix

package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/pgtest"
)

// explaining is an engine whose statements are explained before they run.
type explaining struct {
	engine
	plans *plans
}

func (e explaining) view(ctx context.Context, f func(q querier) error) error {
	return e.engine.view(ctx, func(q querier) error { return f(e.plans.of(ctx, q)) })
}

func (e explaining) update(ctx context.Context, alone bool, f func(tx querier) error) error {
	return e.engine.update(ctx, alone, func(tx querier) error { return f(e.plans.of(ctx, tx)) })
}

// plans gathers what the planner says of statements that would read a whole table.
type plans struct {
	explain, before string
	whole           *regexp.Regexp
	asked           int
	bad             map[string]string // by statement
}

var (
	sqlitePlans = plans{explain: "EXPLAIN QUERY PLAN ", whole: regexp.MustCompile(`SCAN ([ceopstv]|entries|objects|chunks|shares|group_shares|totals|uploads|space|activity)( USING .*)?$`)}
	// A table of some rows is read whole, unless that is forbidden: then it is done
	// where there is no other way.
	postgresPlans = plans{explain: "EXPLAIN ", before: "SET LOCAL enable_seqscan = off", whole: regexp.MustCompile(`Seq Scan on .*`)}
)

func (p *plans) of(ctx context.Context, q querier) querier {
	if p.before != "" {
		_, _ = q.ExecContext(ctx, p.before) // else the plans tell
	}
	return explained{q, p}
}

// look explains a statement. Some cannot be: those that make tables.
func (p *plans) look(ctx context.Context, q querier, statement string, args []any) {
	first, _, _ := strings.Cut(strings.TrimSpace(statement), " ")
	if !strings.Contains("SELECT WITH UPDATE INSERT DELETE", strings.TrimSpace(first)) || strings.Contains(statement, ";") {
		return
	}
	r, err := q.QueryContext(ctx, p.explain+statement, args...)
	if err != nil {
		p.bad[statement] = err.Error()
		return
	}
	defer func() { _ = r.Close() }()
	columns, err := r.Columns()
	for err == nil && r.Next() {
		values := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err = r.Scan(into...); err == nil {
			line := fmt.Sprint(values[len(values)-1])
			if p.whole.MatchString(line) && !strings.HasSuffix(line, " entries_restricted") { // which has few of them

				p.bad[statement] = line
			}
		}
	}
	if err = errors.Join(err, r.Err()); err != nil {
		p.bad[statement] = err.Error()
	}
	p.asked++
}

// explained is a transaction whose statements are explained first.
type explained struct {
	querier
	plans *plans
}

func (e explained) ExecContext(ctx context.Context, statement string, args ...any) (sql.Result, error) {
	e.plans.look(ctx, e.querier, statement, args)
	return e.querier.ExecContext(ctx, statement, args...)
}

func (e explained) QueryContext(ctx context.Context, statement string, args ...any) (*sql.Rows, error) {
	e.plans.look(ctx, e.querier, statement, args)
	return e.querier.QueryContext(ctx, statement, args...)
}

func (e explained) QueryRowContext(ctx context.Context, statement string, args ...any) *sql.Row {
	e.plans.look(ctx, e.querier, statement, args)
	return e.querier.QueryRowContext(ctx, statement, args...)
}

// TestPlans explains what people do all the time: no statement of it reads a
// table from one end to the other.
func TestPlans(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		testPlans(t, Options{Path: filepath.Join(t.TempDir(), "meta.db")}, sqlitePlans)
	})
	t.Run("PostgreSQL", func(t *testing.T) { testPlans(t, Options{URL: pgtest.Start(t).Database("plans")}, postgresPlans) })
}

func testPlans(t *testing.T, o Options, p plans) {
	ctx := t.Context()
	s, err := Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, s)
	friend, err := s.CreateUser(ctx, "bob", "", false, false)
	if err != nil {
		t.Fatal(err)
	}
	p.bad = map[string]string{}
	inner := s.engine
	s.engine = explaining{inner, &p}
	defer func() {
		s.engine = inner
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	club, err := s.CreateGroup(ctx, "club")
	must(err)
	_, err = s.SetMember(ctx, club.ID, friend.ID, true)
	must(err)
	_, err = s.SetShare(ctx, cloud.Share{Entry: 1, User: friend.ID})
	must(err)
	_, err = s.SetPublic(ctx, 3, false, nil)
	must(err)
	for _, viewer := range []cloud.UserID{meta.AnyViewer, 1, friend.ID} {
		for _, by := range []meta.Sort{meta.SortName, meta.SortSize, meta.SortUpdated, meta.SortType, meta.SortOwner} {
			for _, desc := range []bool{false, true} {
				q := meta.Query{Parent: cloud.Root, Viewer: viewer, Sort: by, Desc: desc, Limit: 1}
				page, err := s.List(ctx, q)
				must(err)
				if q.After = page.Next; q.After != "" {
					_, err = s.List(ctx, q)
					must(err)
				}
			}
		}
		_, err := s.Entry(ctx, 2, viewer)
		must(err)
		_, err = s.Child(ctx, 1, "b", viewer)
		must(err)
		_, err = s.Sizes(ctx, cloud.Root, viewer)
		must(err)
		_, err = s.Search(ctx, meta.Find{Viewer: viewer, Text: "olde", Limit: 10})
		must(err)
		_, _, err = s.Count(ctx, cloud.Root, viewer)
		must(err)
		must(s.Walk(ctx, cloud.Root, viewer, func([]string, cloud.Entry) error { return nil }))
	}
	_, err = s.Path(ctx, 2)
	must(err)
	_, err = s.Quota(ctx, 1)
	must(err)
	u := meta.Upload{ID: "v", User: 1, Object: cloud.ObjectID{7}, Folder: []string{"a"}, Name: "new", Size: 5, PartSize: 5}
	must(s.CreateUpload(ctx, u))
	must(s.AddPart(ctx, u.ID, 0, []meta.Stored{{Chunk: cloud.Chunk{Size: 5, SealedSize: 165, Ref: cloud.Ref{Message: "7"}}}}))
	done, err := s.FinishUpload(ctx, u.ID, meta.Finish{Conflict: meta.ConflictFail})
	must(err)
	_, err = s.Move(ctx, done.Entry.ID, cloud.Root, "moved", meta.ConflictFail, nil)
	must(err)
	must(s.CreateSession(ctx, meta.Session{ID: "s", User: 1, ExpiresAt: time.Now().Add(time.Hour)}))
	must(s.TouchSession(ctx, "s", time.Now(), time.Now().Add(time.Hour)))
	// The queue of thumbnails may be long: what is next is the end of an index, and
	// whose are asked for is found by their numbers.
	p.whole = regexp.MustCompile(p.whole.String() + `|TEMP B-TREE|INDEX objects_by_state`)
	must(s.QueueThumbnails(ctx, slices.Repeat([]cloud.ObjectID{done.Entry.Object}, 100), 1, 1))
	_, err = s.LeaseThumbnail(ctx, time.Now().Add(time.Second), time.Now().Add(time.Minute), 3)
	must(err)
	for statement, why := range p.bad {
		t.Errorf("%s\n in %s", why, statement)
	}
	if p.asked < 180 {
		t.Errorf("%d statements were explained", p.asked)
	}
}
