package sqlmeta

import (
	"fmt"
	"testing"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// crowded makes a folder of n files, and a tree of as many in folders of 100
// beside it. It goes around the contract, which stores one file at a time.
func crowded(b *testing.B, n int) (s *Store, big, tree cloud.EntryID) {
	b.Helper()
	s = openTest(b)
	ctx := b.Context()
	user, err := s.CreateUser(ctx, "ann", "", false, false)
	if err != nil {
		b.Fatal(err)
	}
	folders := map[string]cloud.EntryID{}
	for _, name := range []string{"big", "tree"} {
		e, _, err := s.MakeFolders(ctx, cloud.Root, []string{name}, user.ID)
		if err != nil {
			b.Fatal(err)
		}
		folders[name] = e.ID
	}
	const numbers = `WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < %d) `
	const file = `'file', ?1, i %% 3 > 0, unhex(printf('%%032x', i + %d)), i, 'type/' || (i %% 2), 0, i, 0 FROM n`
	const columns = `INSERT INTO entries (parent_id, name, name_key, kind, owner_id, public, object_id, size, type, created_at, updated_at, modified_at) `
	for _, statement := range []string{
		fmt.Sprintf(numbers+`INSERT INTO objects (id, state, size, created_at, finished_at, state_at)
			SELECT unhex(printf('%%032x', i)), 'stored', i %% %d, 0, 0, 0 FROM n WHERE ?1 AND ?2 AND ?3`, 2*n, n),
		fmt.Sprintf(numbers+columns+`SELECT ?2, 'file ' || i, 'file ' || i, `+file+` WHERE ?3`, n, 0),
		fmt.Sprintf(numbers+columns+`SELECT ?3, 'folder ' || i, 'folder ' || i, 'folder', ?1, 1, NULL, 0, '', 0, 0, 0 FROM n WHERE ?2`, n/100),
		fmt.Sprintf(numbers+columns+`SELECT (SELECT id FROM entries WHERE parent_id = ?3 AND name = 'folder ' || (i / 100)),
			'file ' || i, 'file ' || i, `+file+` WHERE ?2`, n, n),
	} {
		if err := s.update(ctx, func(tx querier) error {
			return exec(ctx, tx, statement, user.ID, folders["big"], folders["tree"])
		}); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.update(ctx, func(tx querier) error {
		return recount(ctx, tx, foldersFrom, cloud.Root, meta.MaxDepth, true)
	}); err != nil {
		b.Fatal(err)
	}
	return s, folders["big"], folders["tree"]
}

const crowd = 100_000

func BenchmarkList(b *testing.B) {
	s, big, _ := crowded(b, crowd)
	for _, by := range []meta.Sort{meta.SortName, meta.SortSize, meta.SortUpdated, meta.SortType, meta.SortOwner} {
		b.Run(string(by), func(b *testing.B) {
			q := meta.Query{Parent: big, Viewer: 2, Sort: by, Limit: 200}
			for b.Loop() {
				page, err := s.List(b.Context(), q)
				if err != nil || len(page.Entries) == 0 {
					b.Fatal(err)
				}
				q.After = page.Next // through the folder, and again
			}
		})
	}
	b.Run("offset", func(b *testing.B) {
		for b.Loop() {
			page, err := s.List(b.Context(), meta.Query{Parent: big, Viewer: 1, Limit: 100, Offset: crowd / 2})
			if err != nil || len(page.Entries) != 100 {
				b.Fatal(err)
			}
		}
	})
}

// What it costs to look at shares: a page of 1,000 entries of a tree of a million
// with 10,000 shares, to everybody's eyes (which asks for no permission at all)
// and to those of people whom shares let see it in different ways.
func BenchmarkShares(b *testing.B) {
	s, big, tree := crowded(b, 500_000)
	ctx := b.Context()
	names := []string{"nobody's friend", "friend", "heir", "member"}
	who := map[string]cloud.UserID{"no permission asked": meta.AnyViewer, "owner": 1}
	for _, name := range names {
		u, err := s.CreateUser(ctx, name, "", false, false)
		if err != nil {
			b.Fatal(err)
		}
		who[name] = u.ID
	}
	club, err := s.CreateGroup(ctx, "club")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.SetMember(ctx, club.ID, who["member"], true); err != nil {
		b.Fatal(err)
	}
	if err := s.update(ctx, func(tx querier) error {
		return exec(ctx, tx, `INSERT INTO shares (entry_id, user_id, can_write, shared_at, owner_id)
			SELECT id, ?1, id % 2 = 0, 0, owner_id FROM entries WHERE id % 100 = 0 AND kind = 'file' LIMIT 10000;
			UPDATE entries SET shared = TRUE WHERE id IN (SELECT entry_id FROM shares)`, who["friend"])
	}); err != nil {
		b.Fatal(err)
	}
	for _, share := range []cloud.Share{
		{Entry: big, User: who["heir"]}, {Entry: tree, User: who["heir"]}, {Entry: big, Group: club.ID, CanWrite: true},
	} {
		if _, err := s.SetShare(ctx, share); err != nil {
			b.Fatal(err)
		}
	}
	for _, name := range append([]string{"no permission asked", "owner"}, names...) {
		b.Run("List/"+name, func(b *testing.B) {
			q := meta.Query{Parent: big, Viewer: who[name], Limit: 1000}
			for b.Loop() {
				page, err := s.List(b.Context(), q)
				if err != nil || len(page.Entries) != 1000 {
					b.Fatal(len(page.Entries), err)
				}
				q.After = page.Next
			}
		})
	}
	for _, name := range names {
		b.Run("Entry/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Entry(b.Context(), tree+777, who[name]); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("Search/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Search(b.Context(), meta.Find{Viewer: who[name], Text: "e 7777", Limit: 100}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEntry(b *testing.B) {
	s, big, tree := crowded(b, 1000)
	b.Run("Child", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Child(b.Context(), big, "file 77", 1); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Path", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Path(b.Context(), tree+5); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkSums(b *testing.B) {
	s, big, tree := crowded(b, crowd)
	for name, id := range map[string]cloud.EntryID{"folder": big, "tree": tree, "all": cloud.Root} {
		for _, viewer := range []cloud.UserID{1, 2} {
			b.Run(fmt.Sprintf("Sizes/%s/viewer%d", name, viewer), func(b *testing.B) {
				for b.Loop() {
					sizes, err := s.Sizes(b.Context(), id, viewer)
					if err != nil || sizes.Files == 0 {
						b.Fatal(err)
					}
				}
			})
		}
	}
	b.Run("Count", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := s.Count(b.Context(), big, 1); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Walk", func(b *testing.B) {
		for b.Loop() {
			n := 0
			if err := s.Walk(b.Context(), cloud.Root, 1, func([]string, cloud.Entry) error { n++; return nil }); err != nil || n < crowd {
				b.Fatal(n, err)
			}
		}
	})
}

func BenchmarkCommit(b *testing.B) {
	s, _, tree := crowded(b, 1000)
	n := 0
	for b.Loop() {
		n++
		if _, _, err := s.MakeFolders(b.Context(), tree, []string{fmt.Sprint("new ", n)}, 1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDelete(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		s, big, _ := crowded(b, crowd)
		b.StartTimer()
		d, err := s.Delete(b.Context(), []cloud.EntryID{big}, func(cloud.Entry) error { return nil })
		if err != nil || d.Files != crowd {
			b.Fatal(d.Files, err)
		}
	}
}
