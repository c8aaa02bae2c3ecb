package metatest

import (
	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var stores = []testcase{
	{"keys", func(f *fixture) {
		f.same("none", must(f.KeyIDs(f.ctx))(f), []string(nil))
		f.ok(f.AddKeyIDs(f.ctx, []string{"z", "a"}))
		f.ok(f.AddKeyIDs(f.ctx, []string{"a", "m", "z"}))
		f.ok(f.AddKeyIDs(f.ctx, nil))
		f.same("keys", must(f.KeyIDs(f.ctx))(f), []string{"z", "a", "m"})
		f.reopen()
		f.same("keys", must(f.KeyIDs(f.ctx))(f), []string{"z", "a", "m"})
	}},
	{"closed", func(f *fixture) {
		f.ok(f.Ping(f.ctx))
		f.ok(f.Store.Close())
		f.ok(f.Store.Close())
		f.is(f.Ping(f.ctx), cloud.ErrShutdown)
		_, err := f.CreateUser(f.ctx, "ann", "", false, false)
		f.is(err, cloud.ErrShutdown)
		_, err = f.List(f.ctx, meta.Query{Limit: 1})
		f.is(err, cloud.ErrShutdown)
		f.Store = f.open(f, f.dir)
	}},
	{"opened again, all is there", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		f.ok(f.CreateSession(f.ctx, session(ann, 0)))
		file := f.private(ann, "a/file", 250)
		f.ok(f.share(cloud.Share{Entry: file.ID, User: bob, SharedAt: at(0)}))
		gone := f.file(ann, "gone", 1)
		must(f.Delete(f.ctx, []cloud.EntryID{gone.ID}, nil))(f)
		running := f.upload(bob, "b/running", 250)
		f.begin(running)
		f.ok(f.AddPart(f.ctx, running.ID, 1, chunksOf(running, 1)))

		type state struct {
			ann      meta.Credentials
			sessions []meta.Session
			file     cloud.Entry
			chunks   []cloud.Chunk
			upload   meta.Upload
			parts    [][2]int64
			leaves   []meta.Stored
			sizes    meta.Sizes
			page     meta.Page
		}
		read := func() state {
			return state{
				must(f.Credentials(f.ctx, "ann"))(f), must(f.Sessions(f.ctx, ann))(f),
				must(f.Entry(f.ctx, file.ID, bob))(f), must(f.Chunks(f.ctx, file.Object, 0, 10))(f),
				must(f.Upload(f.ctx, running.ID))(f), must(f.PartsStored(f.ctx, running.ID))(f), f.leaves(running),
				must(f.Sizes(f.ctx, cloud.Root, meta.AnyViewer))(f),
				must(f.List(f.ctx, meta.Query{Viewer: bob, Limit: 1}))(f),
			}
		}
		before := read()
		f.reopen()
		f.same("state", read(), before)
		f.is(f.AddPart(f.ctx, running.ID, 1, chunksOf(running, 1)), cloud.ErrExists)
		for _, part := range []int64{0, 2} {
			f.ok(f.AddPart(f.ctx, running.ID, part, chunksOf(running, part)))
		}
		must(f.FinishUpload(f.ctx, running.ID, finish(meta.ConflictFail)))(f)
	}},
}
