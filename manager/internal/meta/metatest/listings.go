package metatest

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var listings = []testcase{
	{"orders and pages", func(f *fixture) {
		zoe, ann := f.user("Zoe"), f.user("ann")
		owners := map[cloud.UserID]string{zoe: "Zoe", ann: "ann"}
		random := rand.New(rand.NewPCG(1, 2))
		for i := range 40 {
			name := fmt.Sprintf("%c%d", "aAbBäÄzé"[random.IntN(4)], i)
			owner := []cloud.UserID{zoe, ann}[random.IntN(2)]
			if i%3 == 0 {
				f.folders(owner, name)
				continue
			}
			f.fileOf(owner, name, random.Int64N(4)*10, func(u *meta.Upload) {
				u.Type = []string{"a/b", "image/png", "text/plain"}[random.IntN(3)]
				u.Public = owner == zoe || random.IntN(2) == 0
			})
		}
		entries := f.all(cloud.Root)
		f.same("entries", len(entries), 40)
		for _, by := range []meta.Sort{meta.SortName, meta.SortSize, meta.SortUpdated, meta.SortType, meta.SortOwner} {
			for _, desc := range []bool{false, true} {
				for _, kind := range []cloud.Kind{"", cloud.KindFile, cloud.KindFolder} {
					q := meta.Query{Viewer: ann, Sort: by, Desc: desc, Kind: kind}
					want := names(sorted(entries, q, owners))
					// The folders are 14: pages end before, at and behind the last.
					for _, limit := range []int{5, 13, 14, 15, 40} {
						q.Limit = limit
						what := fmt.Sprintf("%s desc=%t kind=%q limit=%d", by, desc, kind, limit)
						f.same(what+" by cursor", f.byCursor(q), want)
						if limit < 15 {
							f.same(what+" by offset", f.byOffset(q), want)
						}
					}
				}
			}
		}
		q := meta.Query{Viewer: ann, Limit: 1}
		f.same("default order", f.byCursor(q), names(sorted(entries, q, owners)))
	}},
	{"pages while rows come and go", func(f *fixture) {
		ann := f.user("ann")
		ids := map[string]cloud.EntryID{}
		for _, name := range []string{"b", "d", "f", "h", "j", "l", "n"} {
			ids[name] = f.file(ann, name, 1).ID
		}
		q := meta.Query{Viewer: ann, Limit: 3}
		page := must(f.List(f.ctx, q))(f)
		f.same("first", names(page.Entries), []string{"b", "d", "f"})
		// The entry that the cursor stands on goes, others come before and after.
		must(f.Delete(f.ctx, []cloud.EntryID{ids["f"], ids["h"]}, nil))(f)
		f.file(ann, "a", 1)
		f.file(ann, "g", 1)
		q.After = page.Next
		page = must(f.List(f.ctx, q))(f)
		f.same("second", names(page.Entries), []string{"g", "j", "l"})
		q.After = page.Next
		page = must(f.List(f.ctx, q))(f)
		f.same("third", names(page.Entries), []string{"n"})
		f.same("no more", page.Next, "")
	}},
	{"beyond the end", func(f *fixture) {
		ann := f.user("ann")
		f.file(ann, "file", 1)
		f.folders(ann, "folder")
		for offset, want := range [][]string{{"folder", "file"}, {"file"}, nil, nil} {
			page := must(f.List(f.ctx, meta.Query{Viewer: ann, Limit: 10, Offset: offset}))(f)
			f.same("entries", names(page.Entries), want)
			f.same("next", page.Next, "")
		}
	}},
	{"cursors of others", func(f *fixture) {
		ann := f.user("ann")
		for _, name := range []string{"a", "b", "c"} {
			f.file(ann, name, 1)
			f.file(ann, "folder/"+name, 1)
		}
		q := meta.Query{Viewer: ann, Limit: 1, Kind: cloud.KindFile}
		q.After = must(f.List(f.ctx, q))(f).Next
		must(f.List(f.ctx, q))(f)
		refused := func(edit func(*meta.Query)) {
			f.Helper()
			bad := q
			edit(&bad)
			_, err := f.List(f.ctx, bad)
			f.is(err, cloud.ErrInvalid)
		}
		refused(func(q *meta.Query) { q.Desc = true })
		refused(func(q *meta.Query) { q.Sort = meta.SortSize })
		refused(func(q *meta.Query) { q.Kind = "" })
		refused(func(q *meta.Query) { q.Parent = f.folders(ann, "folder").ID })
		refused(func(q *meta.Query) { q.Offset = 1 })
		refused(func(q *meta.Query) { q.After = "!" })
		refused(func(q *meta.Query) { q.After = "AAAA" })
		refused(func(q *meta.Query) { q.After = strings.Repeat("A", 1<<16) })
		refused(func(q *meta.Query) { q.After += "A" })
		raw, err := base64.RawURLEncoding.DecodeString(q.After)
		if err != nil {
			f.Skip("the store's cursors are not base64")
		}
		for i := range raw {
			refused(func(q *meta.Query) {
				changed := slices.Clone(raw)
				changed[i] ^= 1
				q.After = base64.RawURLEncoding.EncodeToString(changed)
			})
		}
	}},
	{"queries that cannot be", func(f *fixture) {
		file := f.file(f.user("ann"), "file", 1)
		for _, q := range []meta.Query{
			{Limit: 0}, {Limit: -1}, {Limit: 1, Offset: -1}, {Limit: 1, Sort: "colour"}, {Limit: 1, Kind: "link"},
			{Limit: 1, Parent: file.ID},
		} {
			_, err := f.List(f.ctx, q)
			f.is(err, cloud.ErrInvalid)
		}
		_, err := f.List(f.ctx, meta.Query{Limit: 1, Parent: file.ID + 99})
		f.is(err, cloud.ErrNotFound)
		_, _, err = f.Count(f.ctx, file.ID+99, meta.AnyViewer)
		f.is(err, cloud.ErrNotFound)
	}},
	{"what a viewer sees", func(f *fixture) {
		ann, bob, eve := f.user("ann"), f.user("bob"), f.user("eve")
		f.file(ann, "public", 1)
		private := f.private(ann, "private", 1)
		orphan := f.private(ann, "orphan", 1)
		must(f.SetOwner(f.ctx, orphan.ID, 0, meta.Transfer{DropShares: true}, nil))(f)
		f.private(bob, "bob's", 1)
		f.ok(f.share(cloud.Share{Entry: private.ID, User: bob, CanWrite: true, SharedAt: at(0)}))
		secret := f.folders(ann, "secret")
		must(f.SetPublic(f.ctx, secret.ID, false, nil))(f)
		for _, c := range []struct {
			viewer         cloud.UserID
			want           []string
			files, folders int
		}{
			{meta.AnyViewer, []string{"secret", "bob's", "orphan", "private", "public"}, 4, 1},
			{ann, []string{"secret", "orphan", "private", "public"}, 3, 1},
			{bob, []string{"bob's", "orphan", "private", "public"}, 4, 0},
			{eve, []string{"orphan", "public"}, 2, 0},
			{0, []string{"orphan", "public"}, 2, 0},
		} {
			f.same("seen", f.byCursor(meta.Query{Viewer: c.viewer, Limit: 2}), c.want)
			f.same("seen", f.byOffset(meta.Query{Viewer: c.viewer, Limit: 2}), c.want)
			files, folders, err := f.Count(f.ctx, cloud.Root, c.viewer)
			f.ok(err)
			f.same("count", [2]int{files, folders}, [2]int{c.files, c.folders})
		}
		page := must(f.List(f.ctx, meta.Query{Viewer: bob, Limit: 10}))(f)
		for _, e := range page.Entries {
			if e.ID != private.ID && e.Share != nil {
				f.Errorf("%s carries a share", e.Name)
			}
		}
		share := &cloud.Share{Entry: private.ID, User: bob, CanWrite: true, SharedAt: at(0)}
		f.same("listed share", page.Entries[2].Share, share)
		f.same("share", must(f.Entry(f.ctx, private.ID, bob))(f).Share, share)
		f.same("share", must(f.Child(f.ctx, cloud.Root, "private", bob))(f).Share, share)
		f.same("share of another", must(f.Entry(f.ctx, private.ID, eve))(f).Share, (*cloud.Share)(nil))
		f.same("share of all", must(f.Entry(f.ctx, private.ID, meta.AnyViewer))(f).Share, (*cloud.Share)(nil))
	}},
}

// byCursor reads a whole listing page by page.
func (f *fixture) byCursor(q meta.Query) (all []string) {
	f.Helper()
	for range 1000 {
		page := must(f.List(f.ctx, q))(f)
		if len(page.Entries) > q.Limit {
			f.Fatalf("a page of %d, want at most %d", len(page.Entries), q.Limit)
		}
		all = append(all, names(page.Entries)...)
		if q.After = page.Next; q.After == "" {
			return all
		}
	}
	f.Fatal("the pages do not end")
	return nil
}

// byOffset does so by numbers.
func (f *fixture) byOffset(q meta.Query) (all []string) {
	f.Helper()
	for {
		page := must(f.List(f.ctx, q))(f)
		if len(page.Entries) == 0 {
			return all
		}
		all = append(all, names(page.Entries)...)
		q.Offset += q.Limit
	}
}

// sorted is the listing as the contract describes it; owners are the names of all.
func sorted(entries []cloud.Entry, q meta.Query, owners map[cloud.UserID]string) []cloud.Entry {
	var part []cloud.Entry
	for _, e := range entries {
		if q.Kind == "" || e.Kind == q.Kind {
			part = append(part, e)
		}
	}
	byName := func(a, b cloud.Entry) int {
		return cmp.Or(cmp.Compare(meta.FoldName(a.Name), meta.FoldName(b.Name)), cmp.Compare(a.Name, b.Name))
	}
	slices.SortFunc(part, func(a, b cloud.Entry) int {
		if a.Kind != b.Kind {
			if a.IsFolder() {
				return -1
			}
			return 1
		}
		c := 0
		switch q.Sort {
		case meta.SortSize:
			c = cmp.Compare(a.Size, b.Size)
		case meta.SortType:
			c = cmp.Compare(a.Type, b.Type)
		case meta.SortUpdated:
			c = a.UpdatedAt.Compare(b.UpdatedAt)
		case meta.SortOwner:
			c = cmp.Compare(meta.FoldName(owners[a.Owner]), meta.FoldName(owners[b.Owner]))
		default:
			c = byName(a, b)
		}
		if a.IsFolder() && (q.Sort == meta.SortSize || q.Sort == meta.SortType) {
			return byName(a, b)
		}
		if c = cmp.Or(c, cmp.Compare(a.ID, b.ID)); q.Desc {
			return -c
		}
		return c
	})
	return part
}
