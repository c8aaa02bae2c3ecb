package metatest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var grants = []testcase{
	{"down the tree", func(f *fixture) {
		ann, bob, eve := f.user("ann"), f.user("bob"), f.user("eve")
		top := f.folders(ann, "top")
		must(f.SetPublic(f.ctx, top.ID, false, nil))(f)
		deep := f.folders(ann, "top/mid/deep")
		f.same("as public as its folder", deep.Public, false)
		file := f.private(bob, "top/mid/deep/file", 1)
		f.ok(f.share(cloud.Share{Entry: top.ID, User: eve, SharedAt: at(0)}))
		f.same("read", must(f.Entry(f.ctx, file.ID, eve))(f).Share, &cloud.Share{Entry: top.ID, User: eve, SharedAt: at(0)})
		f.ok(f.share(cloud.Share{Entry: deep.ID, User: eve, CanWrite: true, SharedAt: at(1)}))
		f.same("the best counts", must(f.Child(f.ctx, deep.ID, "file", eve))(f).Share,
			&cloud.Share{Entry: deep.ID, User: eve, CanWrite: true, SharedAt: at(1)})
		// Who shares a folder has himself what the best of its shares gives.
		if s := must(f.Entry(f.ctx, file.ID, ann))(f).Share; s == nil || s.User != ann || !s.CanWrite {
			f.Errorf("the folder's owner has %+v at another's file in it", s)
		}
		must(f.RemoveShare(f.ctx, deep.ID, eve, 0))(f)
		must(f.RemoveShare(f.ctx, top.ID, eve, 0))(f)
		f.same("taken back", must(f.Entry(f.ctx, file.ID, eve))(f).Share, (*cloud.Share)(nil))
		f.same("taken back", must(f.Entry(f.ctx, file.ID, ann))(f).Share, (*cloud.Share)(nil))
	}},
	{"groups", func(f *fixture) {
		ann, bob, eve := f.user("ann"), f.user("bob"), f.user("eve")
		club := must(f.CreateGroup(f.ctx, "Club"))(f)
		_, err := f.CreateGroup(f.ctx, "cLUB")
		f.is(err, cloud.ErrExists)
		_, err = f.CreateGroup(f.ctx, "a/b")
		f.is(err, cloud.ErrInvalid)
		other := must(f.CreateGroup(f.ctx, "other"))(f)
		_, err = f.RenameGroup(f.ctx, other.ID, "club")
		f.is(err, cloud.ErrExists)
		f.same("renamed", must(f.RenameGroup(f.ctx, other.ID, "Other"))(f).Name, "Other")
		f.same("put in", must(f.SetMember(f.ctx, club.ID, bob, true))(f), true)
		f.same("again", must(f.SetMember(f.ctx, club.ID, bob, true))(f), false)
		_, err = f.SetMember(f.ctx, club.ID, eve+99, true)
		f.is(err, cloud.ErrNotFound)
		_, err = f.SetMember(f.ctx, club.ID+99, bob, true)
		f.is(err, cloud.ErrNotFound)
		f.same("members", must(f.Members(f.ctx, club.ID))(f), []cloud.User{must(f.User(f.ctx, bob))(f)})
		f.same("found", must(f.Groups(f.ctx, "LU", 5))(f), []cloud.Group{club})
		f.same("none", len(must(f.Groups(f.ctx, "%", 5))(f)), 0)

		folder := f.folders(ann, "folder")
		file := f.private(ann, "folder/file", 1)
		f.ok(f.share(cloud.Share{Entry: folder.ID, Group: club.ID, CanWrite: true, SharedAt: at(0)}))
		f.is(f.share(cloud.Share{Entry: folder.ID, Group: club.ID + 99}), cloud.ErrNotFound)
		f.is(f.share(cloud.Share{Entry: folder.ID}), cloud.ErrInvalid)
		f.is(f.share(cloud.Share{Entry: folder.ID, User: bob, Group: club.ID}), cloud.ErrInvalid)
		want := cloud.Share{Entry: folder.ID, Group: club.ID, CanWrite: true, SharedAt: at(0)}
		f.same("shares", must(f.Shares(f.ctx, folder.ID))(f), []cloud.Share{want})
		want.User = bob
		f.same("member", must(f.Entry(f.ctx, file.ID, bob))(f).Share, &want)
		f.same("nobody else", must(f.Entry(f.ctx, file.ID, eve))(f).Share, (*cloud.Share)(nil))
		f.same("shared with", names(must(f.SharedWith(f.ctx, bob, 5, ""))(f).Entries), []string{"folder"})
		f.same("shared by", names(must(f.SharedBy(f.ctx, ann, 5, ""))(f).Entries), []string{"folder"})
		f.same("taken out", must(f.SetMember(f.ctx, club.ID, bob, false))(f), true)
		f.same("out", must(f.Entry(f.ctx, file.ID, bob))(f).Share, (*cloud.Share)(nil))
		f.ok(f.DeleteGroup(f.ctx, club.ID))
		f.is(f.DeleteGroup(f.ctx, club.ID), cloud.ErrNotFound)
		f.same("shares", len(must(f.Shares(f.ctx, folder.ID))(f)), 0)
	}},
	{"lists", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		for i := range 5 {
			e := f.private(ann, fmt.Sprintf("hidden/%d", i), 1)
			f.ok(f.share(cloud.Share{Entry: e.ID, User: bob, SharedAt: at(i % 3)}))
		}
		for _, list := range []struct {
			user cloud.UserID
			get  func(cloud.UserID, int, string) (meta.Page, error)
			want string
		}{
			{bob, func(u cloud.UserID, n int, after string) (meta.Page, error) { return f.SharedWith(f.ctx, u, n, after) }, "2 4 1 3 0"},
			{ann, func(u cloud.UserID, n int, after string) (meta.Page, error) { return f.SharedWith(f.ctx, u, n, after) }, ""},
			{ann, func(u cloud.UserID, n int, after string) (meta.Page, error) { return f.SharedBy(f.ctx, u, n, after) }, "4 3 2 1 0"},
			{bob, func(u cloud.UserID, n int, after string) (meta.Page, error) { return f.SharedBy(f.ctx, u, n, after) }, ""},
		} {
			var got []string
			for after := ""; ; {
				page := must(list.get(list.user, 2, after))(f)
				got = append(got, names(page.Entries)...)
				if after = page.Next; after == "" {
					break
				}
			}
			f.same("list", strings.Join(got, " "), list.want)
			_, err := list.get(list.user, 2, "x")
			f.is(err, cloud.ErrInvalid)
		}
	}},
	{"transfer of a tree", func(f *fixture) {
		ann, bob, eve := f.user("ann"), f.user("bob"), f.user("eve")
		top := f.folders(ann, "top")
		mine, others := f.private(ann, "top/a/mine", 1), f.private(eve, "top/a/others", 1)
		f.ok(f.share(cloud.Share{Entry: mine.ID, User: eve}))
		f.ok(f.share(cloud.Share{Entry: others.ID, User: ann}))
		must(f.SetOwner(f.ctx, top.ID, bob, meta.Transfer{Deep: true, Keep: true}, nil))(f)
		for id, want := range map[cloud.EntryID]cloud.UserID{top.ID: bob, mine.ID: bob, others.ID: eve} {
			f.same("owner", must(f.Entry(f.ctx, id, meta.AnyViewer))(f).Owner, want)
		}
		f.same("kept", must(f.Entry(f.ctx, others.ID, ann))(f).Share.CanWrite, true)
		f.same("by the new owner", names(must(f.SharedBy(f.ctx, bob, 5, ""))(f).Entries), []string{"mine", "top"})
		f.same("by the old owner", len(must(f.SharedBy(f.ctx, ann, 5, ""))(f).Entries), 0)
		must(f.SetOwner(f.ctx, top.ID, ann, meta.Transfer{Deep: true, DropShares: true}, nil))(f)
		f.same("dropped", len(must(f.Shares(f.ctx, mine.ID))(f)), 0)
		f.same("another's stays", len(must(f.Shares(f.ctx, others.ID))(f)), 1)
	}},
	{"of a random tree", func(f *fixture) {
		seed := rand.Uint64()
		f.Logf("seed %d", seed)
		m := newForest(f, rand.New(rand.NewPCG(seed, 0)))
		for range 2 {
			m.shake()
			for _, u := range append(slices.Clone(m.users), meta.AnyViewer, 0) {
				m.check(u)
			}
		}
	}},
}

// forest is a random tree, and in memory what should be so of it.
type forest struct {
	*fixture
	rnd     *rand.Rand
	users   []cloud.UserID
	groups  []cloud.GroupID
	members map[cloud.GroupID]map[cloud.UserID]bool
	entries map[cloud.EntryID]cloud.Entry
	shares  map[cloud.EntryID][]cloud.Share
	ids     []cloud.EntryID // in the order of making: folders before what is in them
}

func newForest(f *fixture, rnd *rand.Rand) *forest {
	m := &forest{fixture: f, rnd: rnd, entries: map[cloud.EntryID]cloud.Entry{}, members: map[cloud.GroupID]map[cloud.UserID]bool{}, shares: map[cloud.EntryID][]cloud.Share{}}
	for i := range 4 {
		m.users = append(m.users, f.user(fmt.Sprint("user", i)))
	}
	for i := range 2 {
		m.groups = append(m.groups, must(f.CreateGroup(f.ctx, fmt.Sprint("group", i)))(f).ID)
		m.members[m.groups[i]] = map[cloud.UserID]bool{}
	}
	paths := []string{""}
	for i := range 40 {
		at, who := paths[rnd.IntN(len(paths))], m.users[rnd.IntN(len(m.users))]
		path := strings.TrimPrefix(fmt.Sprintf("%s/x%d", at, i), "/")
		if i < 18 {
			paths = append(paths, path)
			m.ids = append(m.ids, f.folders(who, path).ID)
		} else {
			m.ids = append(m.ids, f.private(who, path, int64(1+rnd.IntN(200))).ID)
		}
	}
	return m
}

// shake changes owners, shares, groups and places.
func (m *forest) shake() {
	for range 40 {
		id, user := m.ids[m.rnd.IntN(len(m.ids))], m.users[m.rnd.IntN(len(m.users))]
		share := cloud.Share{Entry: id, User: user, CanWrite: m.rnd.IntN(2) == 0, SharedAt: at(m.rnd.IntN(9))}
		switch m.rnd.IntN(7) {
		case 0:
			must(m.SetPublic(m.ctx, id, m.rnd.IntN(3) == 0, nil))(m.fixture)
		case 1:
			if m.rnd.IntN(3) == 0 {
				user = 0
			}
			must(m.SetOwner(m.ctx, id, user, meta.Transfer{Deep: m.rnd.IntN(2) == 0, Keep: m.rnd.IntN(4) == 0}, nil))(m.fixture)
		case 2:
			group := m.groups[m.rnd.IntN(len(m.groups))]
			member := m.rnd.IntN(2) == 0
			must(m.SetMember(m.ctx, group, user, member))(m.fixture)
			m.members[group][user] = member
		case 3:
			share.User, share.Group = 0, m.groups[m.rnd.IntN(len(m.groups))]
			m.ok(m.share(share))
		case 4:
			m.ok(m.share(share))
		case 5:
			must(m.RemoveShare(m.ctx, id, user, m.groups[0]))(m.fixture)
		case 6:
			e := must(m.Entry(m.ctx, id, meta.AnyViewer))(m.fixture)
			_, _ = m.Move(m.ctx, id, m.ids[m.rnd.IntN(18)], e.Name, meta.ConflictFail, nil) // not into itself
		}
	}
	for _, id := range m.ids {
		m.entries[id] = must(m.Entry(m.ctx, id, meta.AnyViewer))(m.fixture)
		m.shares[id] = must(m.Shares(m.ctx, id))(m.fixture)
	}
}

// rights is what shares of an entry and above give a user: 0, 1 to read, 2 to write.
func (m *forest) rights(id cloud.EntryID, user cloud.UserID) int {
	best := 0
	for ; id != cloud.Root && user > 0; id = m.entries[id].Parent {
		for _, s := range m.shares[id] {
			if s.User != user && !m.members[s.Group][user] && m.entries[id].Owner != user {
				continue
			}
			if best = max(best, 1); s.CanWrite {
				best = 2
			}
		}
	}
	return best
}

func (m *forest) sees(id cloud.EntryID, user cloud.UserID) bool {
	e := m.entries[id]
	return user == meta.AnyViewer || e.Public || e.Owner == 0 || e.Owner == user || m.rights(id, user) > 0
}

// comes tells whether a user comes down to a folder.
func (m *forest) comes(id cloud.EntryID, user cloud.UserID) bool {
	for ; id != cloud.Root; id = m.entries[id].Parent {
		if !m.sees(id, user) {
			return false
		}
	}
	return true
}

// owns tells whether all that is below a folder is a user's.
func (m *forest) owns(user cloud.UserID, folder cloud.EntryID) bool {
	for _, id := range m.ids {
		at := id
		for at != folder && at != cloud.Root {
			at = m.entries[at].Parent
		}
		if at == folder && id != folder && m.entries[id].Owner != user {
			return false
		}
	}
	return true
}

// lowest is what a deletion of a folder comes to last: of the lowest level that
// with the highest id.
func (m *forest) lowest(folder cloud.EntryID) (last cloud.EntryID) {
	deepest := -1
	for _, id := range m.ids {
		level, at := 0, id
		for ; at != folder && at != cloud.Root; at = m.entries[at].Parent {
			level++
		}
		if at == folder && (level > deepest || level == deepest && id > last) {
			deepest, last = level, id
		}
	}
	return last
}

func (m *forest) check(user cloud.UserID) {
	m.Helper()
	has := func(e cloud.Entry) int {
		switch {
		case e.Share == nil:
			return 0
		case e.Share.User != user:
			m.Errorf("user %d has a share of %d", user, e.Share.User)
		case e.Share.CanWrite:
			return 2
		}
		return 1
	}
	for _, id := range m.ids {
		m.same(fmt.Sprintf("rights of %d at %d", user, id), has(must(m.Entry(m.ctx, id, user))(m.fixture)), m.rights(id, user))
		best := 0
		for _, s := range must(m.Grants(m.ctx, id))(m.fixture) {
			if s.User == user {
				if best = max(best, 1); s.CanWrite {
					best = 2
				}
			}
		}
		m.same(fmt.Sprintf("grants of %d at %d", user, id), best, m.rights(id, user))
	}
	found := map[cloud.EntryID]bool{}
	for _, e := range must(m.Search(m.ctx, meta.Find{Viewer: user, Text: "x", Limit: 1000}))(m.fixture).Entries {
		found[e.ID] = true
		m.same("rights found", has(e), m.rights(e.ID, user))
	}
	for _, id := range m.ids {
		want := m.sees(id, user) && (m.comes(m.entries[id].Parent, user) || m.rights(id, user) > 0) || user == meta.AnyViewer
		m.same(fmt.Sprintf("user %d finds %d", user, id), found[id], want)
	}
	folders := []cloud.EntryID{cloud.Root}
	for _, id := range m.ids {
		if m.entries[id].IsFolder() {
			folders = append(folders, id)
		}
	}
	for _, folder := range folders {
		m.checkFolder(folder, user, has)
	}
}

func (m *forest) checkFolder(folder cloud.EntryID, user cloud.UserID, has func(cloud.Entry) int) {
	m.Helper()
	what := fmt.Sprintf("user %d in folder %d", user, folder)
	listed := map[cloud.EntryID]bool{}
	for _, e := range must(m.List(m.ctx, meta.Query{Parent: folder, Viewer: user, Limit: 1000}))(m.fixture).Entries {
		listed[e.ID] = true
		if e.Owner != user { // whom his own share of it gives nothing
			m.same(what+": rights listed", has(e), m.rights(e.ID, user))
		}
	}
	walked := map[cloud.EntryID]bool{}
	m.ok(m.Walk(m.ctx, folder, user, func(_ []string, e cloud.Entry) error {
		walked[e.ID] = true
		return nil
	}))
	children, below := map[cloud.EntryID]bool{}, map[cloud.EntryID]bool{}
	var sizes meta.Sizes
	for _, id := range m.ids {
		e := m.entries[id]
		in := m.sees(id, user)
		if e.Parent == folder && in {
			children[id] = true
		}
		at := e.Parent
		for ; in && at != folder && at != cloud.Root; at = m.entries[at].Parent {
			in = m.sees(at, user)
		}
		if !in || at != folder {
			continue
		}
		below[id] = true
		if e.IsFolder() {
			sizes.Folders++
		} else {
			sizes.Files++
			sizes.Bytes += e.Size
		}
	}
	if !maps.Equal(listed, children) {
		m.Errorf("%s: listed %v, want %v", what, listed, children)
	}
	if !maps.Equal(walked, below) {
		m.Errorf("%s: walked %v, want %v", what, walked, below)
	}
	files, dirs, err := m.Count(m.ctx, folder, user)
	m.ok(err)
	m.same(what+": count", files+dirs, len(children))
	one := must(m.List(m.ctx, meta.Query{Parent: folder, Viewer: user, Limit: 1}))(m.fixture)
	m.same(what+": counted with a page", [2]int{one.Files, one.Folders}, [2]int{files, dirs})
	got := must(m.Sizes(m.ctx, folder, user))(m.fixture)
	got.Types = nil
	m.same(what+": sizes", got, sizes)
	if folder != cloud.Root && m.rnd.IntN(4) == 0 {
		seen, own := map[cloud.EntryID]int{}, m.owns(user, folder)
		_, err := m.Delete(meta.ForViewer(m.ctx, user), []cloud.EntryID{folder}, func(e cloud.Entry) error {
			if e.ID == folder { // it begins, or begins anew
				clear(seen)
			}
			seen[e.ID] = has(e)
			if e.ID == m.lowest(folder) || own { // what is his own he is not asked about
				return errVeto
			}
			return nil
		})
		m.is(err, errVeto)
		for id, rights := range seen {
			m.same(what+": rights at what would be deleted", rights, m.rights(id, user))
		}
	}
	if folder != cloud.Root && m.rnd.IntN(8) == 0 {
		copied, err := m.Copy(meta.ForViewer(m.ctx, user), folder, cloud.Root, fmt.Sprint("y", m.number()), m.users[0], true, meta.ConflictFail, nil)
		m.ok(err)
		m.same(what+": copied", [2]int64{copied.Files, copied.Folders}, [2]int64{sizes.Files, sizes.Folders + 1})
		gone := map[cloud.EntryID]bool{}
		d := must(m.Delete(meta.ForViewer(m.ctx, user), []cloud.EntryID{copied.Entry.ID}, func(e cloud.Entry) error {
			if e.ID == copied.Entry.ID {
				clear(gone)
			}
			gone[e.ID] = true
			return nil
		}))(m.fixture)
		m.same(what+": deleted", []int64{d.Files, d.Folders}, []int64{copied.Files, copied.Folders})
		if user != m.users[0] {
			m.same(what+": asked about", int64(len(gone)), copied.Files+copied.Folders)
		} else {
			m.same(what+": asked about his own", len(gone), 1)
		}
	}
}
