//go:build unix

package sqlmeta

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/pgtest"
)

// pieces of names: cases, letters that fold to two, letters that are written in two
// ways, signs of several bytes, and whatever has a meaning in SQL, FTS5 or LIKE.
var pieces = []string{
	"a", "b", "A", "ab", "ß", "SS", "İ", "i", "é", "e\u0301", "ﬀ", "Ⅷ", "ς", "Σ", "😀", "👨‍👩‍👧", "照片", "字", "\U0010ffff", "\ud7ff", "\ufffe",
	`"`, `""`, "'", "*", "^", "+", "-", ":", "(", ")", "{", "}", "%", "_", `\`, "?1", "$1", "AND", " OR ", " NOT ", "NEAR(a b)", "name_key:", " ", "\t", "\x01", ".jpg",
}

// shelf is a store with names of all kinds, and what they are.
type shelf struct {
	*Store
	r     *rand.Rand
	ever  []string                 // names that were given
	names map[cloud.EntryID]string // of what everybody finds
	own   map[cloud.EntryID]string // of what user 1 alone finds
}

func (s *shelf) name(most int) string {
	var b strings.Builder
	for range 1 + s.r.IntN(most) {
		b.WriteString(pieces[s.r.IntN(len(pieces))])
	}
	return b.String()
}

// newShelf adds, renames, moves, copies and deletes.
func newShelf(t *testing.T, o Options, r *rand.Rand) *shelf {
	ctx := t.Context()
	s := &shelf{r: r, names: map[cloud.EntryID]string{}, own: map[cloud.EntryID]string{}}
	var err error
	if s.Store, err = Open(ctx, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"ann", "bob"} {
		_, err := s.CreateUser(ctx, name, "", false, false)
		must(err)
	}
	public, _, err := s.MakeFolders(ctx, cloud.Root, []string{"public"}, 1)
	must(err)
	private, _, err := s.MakeFolders(ctx, cloud.Root, []string{"private"}, 1)
	must(err)
	_, err = s.SetPublic(ctx, private.ID, false, nil)
	must(err)
	s.names[public.ID], s.own[private.ID] = public.Name, private.Name
	s.SetRetention(meta.Retention{Trash: time.Hour})
	var all []cloud.Entry
	must(s.update(ctx, func(tx querier) error {
		all = all[:0]
		for i := range 400 {
			e := cloud.Entry{Parent: public.ID, Kind: cloud.KindFolder, Owner: 1, Public: true, Name: fmt.Sprintf("%s%d%s", s.name(4), i, s.name(4))}
			if i%5 == 0 {
				e.Parent = private.ID
			}
			e, err := insertEntry(ctx, tx, e)
			if err != nil {
				return err
			}
			all = append(all, e)
		}
		return nil
	}))
	for i, e := range all {
		in := s.names
		if e.Parent == private.ID {
			in = s.own
		}
		in[e.ID] = e.Name
		s.ever = append(s.ever, e.Name)
		switch i % 20 {
		case 1:
			_, err := s.Delete(ctx, []cloud.EntryID{e.ID}, nil)
			must(err)
			delete(in, e.ID)
			if i%40 == 1 {
				_, err := s.Purge(ctx, []cloud.EntryID{e.ID})
				must(err)
			}
		case 2:
			name := s.name(5) + fmt.Sprint(i)
			_, err := s.Move(ctx, e.ID, e.Parent, name, meta.ConflictFail, nil)
			must(err)
			in[e.ID] = name
		case 3:
			c, err := s.Copy(ctx, e.ID, e.Parent, e.Name+"2", 1, true, meta.ConflictFail, nil)
			must(err)
			in[c.Entry.ID] = c.Entry.Name
		}
	}
	return s
}

// want are the ids of what has a text in its name, by going through all.
func (s *shelf) want(text string, viewer cloud.UserID) (ids []cloud.EntryID) {
	text = meta.FoldName(text)
	all := map[cloud.EntryID]string{}
	for id, name := range s.names {
		all[id] = name
	}
	if viewer == 1 {
		for id, name := range s.own {
			all[id] = name
		}
	}
	for id, name := range all {
		if strings.Contains(meta.FoldName(name), text) {
			ids = append(ids, id)
		}
	}
	later := func(id cloud.EntryID) int {
		if strings.HasPrefix(meta.FoldName(all[id]), text) {
			return 0
		}
		return 1
	}
	slices.SortFunc(ids, func(a, b cloud.EntryID) int {
		return cmp.Or(later(a)-later(b), strings.Compare(meta.FoldName(all[a]), meta.FoldName(all[b])), strings.Compare(all[a], all[b]), cmp.Compare(a, b))
	})
	return ids
}

// found are the ids that a search gives, page by page.
func (s *shelf) found(ctx context.Context, text string, viewer cloud.UserID) (ids []cloud.EntryID, err error) {
	q := meta.Find{Viewer: viewer, Text: text, Limit: 20 + s.r.IntN(60)}
	for {
		page, err := s.Search(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, e := range page.Entries {
			ids = append(ids, e.ID)
		}
		if q.After = page.Next; q.After == "" {
			return ids, nil
		}
	}
}

// TestSearch compares each way to search with going through all names.
func TestSearch(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { testSearch(t, Options{Path: filepath.Join(t.TempDir(), "meta.db")}) })
	t.Run("PostgreSQL", func(t *testing.T) { testSearch(t, Options{URL: pgtest.Start(t).Database("search")}) })
}

func testSearch(t *testing.T, o Options) {
	ctx := t.Context()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	s := newShelf(t, o, rand.New(rand.NewPCG(seed, 0)))
	if _, _, ok := s.engine.seek("abc"); !ok {
		t.Fatal("there is no index of names")
	}
	for range 60 {
		text := s.name(3)
		if s.r.IntN(4) > 0 { // a part of a name, mostly
			letters := []rune(meta.FoldName(s.ever[s.r.IntN(len(s.ever))]))
			from := s.r.IntN(len(letters))
			text = string(letters[from:min(len(letters), from+1+s.r.IntN(6))])
		}
		for _, viewer := range []cloud.UserID{1, 2} {
			want := s.want(text, viewer)
			for _, few := range []int{0, 3, fewNames} {
				s.few, s.some = few, few
				if few == 3 && s.r.IntN(2) == 0 {
					s.some = fewNames
				}
				if got, err := s.found(ctx, text, viewer); err != nil || !slices.Equal(got, want) {
					t.Errorf("%q for user %d where %d names are few, %d some: %v, %v; want %v", text, viewer, few, s.some, got, err, want)
				}
			}
		}
	}
	for _, text := range []string{"\xff", "a\xffbc", "ab\xc3"} {
		if got, err := s.found(ctx, text, 1); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("%q finds %v, %v; want %v", text, got, err, cloud.ErrInvalid)
		}
	}
	if faults, err := s.Check(ctx); err != nil || len(faults) > 0 {
		t.Errorf("Check = %v, %v", faults, err)
	}
	if o.URL != "" {
		return
	}
	for _, statement := range []string{`DROP TRIGGER entry_trigrams_insert`, `INSERT INTO entries (parent_id, name, name_key, kind, created_at, updated_at, modified_at)
		VALUES (0, 'Lost', 'lost', 'folder', 0, 0, 0)`} {
		if err := exec(ctx, s.write, statement); err != nil {
			t.Fatal(err)
		}
	}
	faults, err := s.Check(ctx)
	if err != nil || !slices.ContainsFunc(faults, func(f string) bool { return strings.HasSuffix(f, "is not found by its name") }) {
		t.Errorf("Check = %v, %v; want an entry that is not found", faults, err)
	}
}

func TestBehind(t *testing.T) {
	for text, want := range map[string]string{
		"a": "b", "az": "a{", "a\U0010ffff": "b", "\U0010ffff": "", "": "", "\ud7ff": "\ue000", "ß": "à",
	} {
		if got := behind(text); got != want {
			t.Errorf("behind(%q) = %q, want %q", text, got, want)
		}
	}
}
