package metatest

import (
	"fmt"
	"sync"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var links = []testcase{
	{"create, find, change and delete", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		folder := f.folders(ann, "a")
		l := meta.Link{User: ann, Entry: folder.ID, Mode: meta.LinkView, Name: "for the club", Password: "$x", Sealed: []byte{1, 2},
			MostUses: 3, CreatedAt: at(0), ExpiresAt: at(9)}
		one := must(f.CreateLink(f.ctx, l, cloud.Sum{1}))(f)
		l.ID = one.ID
		f.same("made", one, l)
		two := must(f.CreateLink(f.ctx, meta.Link{User: bob, Entry: folder.ID, Mode: meta.LinkUpload, Sealed: []byte{3}, CreatedAt: at(1)}, cloud.Sum{2}))(f)

		got, user, err := f.LinkOf(f.ctx, cloud.Sum{1})
		f.ok(err)
		f.same("found by its text", got, l)
		f.same("user", user.Name, "ann")
		got, _, err = f.Link(f.ctx, two.ID)
		f.ok(err)
		f.same("found by id", got, two)
		_, _, err = f.LinkOf(f.ctx, cloud.Sum{3})
		f.is(err, cloud.ErrNotFound)
		f.same("of ann", must(f.Links(f.ctx, ann, cloud.Root))(f), []meta.Link{l})
		f.same("to the folder", must(f.Links(f.ctx, meta.AnyViewer, folder.ID))(f), []meta.Link{two, l})

		l.Mode, l.Name, l.Password, l.MostUses, l.ExpiresAt = meta.LinkDownload, "", "", 0, time.Time{}
		f.ok(f.ChangeLink(f.ctx, l))
		got, _, err = f.Link(f.ctx, l.ID)
		f.ok(err)
		f.same("changed", got, l)
		foreign := l
		foreign.User = bob
		f.is(f.ChangeLink(f.ctx, foreign), cloud.ErrNotFound)

		_, err = f.CreateLink(f.ctx, meta.Link{User: ann, Entry: 999, Mode: meta.LinkView, Sealed: []byte{1}}, cloud.Sum{4})
		f.is(err, cloud.ErrNotFound)
		_, err = f.CreateLink(f.ctx, meta.Link{User: 999, Entry: folder.ID, Mode: meta.LinkView, Sealed: []byte{1}}, cloud.Sum{4})
		f.is(err, cloud.ErrNotFound)
		f.is(f.DeleteLink(f.ctx, bob, l.ID), cloud.ErrNotFound)
		f.ok(f.DeleteLink(f.ctx, ann, l.ID))
		f.ok(f.DeleteLink(f.ctx, meta.AnyViewer, two.ID))
		f.is(f.DeleteLink(f.ctx, bob, two.ID), cloud.ErrNotFound)
	}},
	{"the last use is taken once", func(f *fixture) {
		ann := f.user("ann")
		l := must(f.CreateLink(f.ctx, meta.Link{User: ann, Entry: f.folders(ann, "a").ID, Mode: meta.LinkView, Sealed: []byte{1}, MostUses: 3}, cloud.Sum{1}))(f)
		errs := make([]error, 8)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() { errs[i] = f.UseLink(f.ctx, l.ID, at(i)) })
		}
		all.Wait()
		n := 0
		for _, err := range errs {
			if err == nil {
				n++
			} else {
				f.is(err, cloud.ErrLimited)
			}
		}
		f.same("uses given", n, 3)
		got, _, err := f.Link(f.ctx, l.ID)
		f.ok(err)
		f.same("uses counted", got.Uses, int64(3))
		f.is(f.UseLink(f.ctx, l.ID+1, at(0)), cloud.ErrNotFound)
	}},
	{"uses are remembered, the newest", func(f *fixture) {
		ann := f.user("ann")
		l := must(f.CreateLink(f.ctx, meta.Link{User: ann, Entry: f.folders(ann, "a").ID, Mode: meta.LinkView, Sealed: []byte{1}}, cloud.Sum{1}))(f)
		for i := range meta.MaxLinkUses + 2 {
			f.ok(f.AddLinkUse(f.ctx, l.ID, meta.LinkUse{At: at(i), Action: "opened", Name: fmt.Sprint(i), Address: "192.0.2.1", Agent: "x"}))
		}
		uses := must(f.LinkUses(f.ctx, l.ID, meta.MaxLinkUses*2))(f)
		f.same("number", len(uses), meta.MaxLinkUses)
		f.same("newest", uses[0], meta.LinkUse{At: at(meta.MaxLinkUses + 1), Action: "opened", Name: fmt.Sprint(meta.MaxLinkUses + 1), Address: "192.0.2.1", Agent: "x"})
		f.is(f.AddLinkUse(f.ctx, l.ID+1, meta.LinkUse{At: at(0)}), cloud.ErrNotFound)
	}},
	{"go with what is really deleted", func(f *fixture) {
		ann := f.user("ann")
		folder := f.folders(ann, "a")
		must(f.CreateLink(f.ctx, meta.Link{User: ann, Entry: folder.ID, Mode: meta.LinkView, Sealed: []byte{1}}, cloud.Sum{1}))(f)
		must(f.Delete(f.ctx, []cloud.EntryID{folder.ID}, nil))(f)
		_, _, err := f.LinkOf(f.ctx, cloud.Sum{1})
		f.is(err, cloud.ErrNotFound)
	}},
}
