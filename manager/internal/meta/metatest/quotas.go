package metatest

import (
	"errors"
	"fmt"
	"sync"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var quotas = []testcase{
	{"counted", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		one := f.file(ann, "a/one", 300)
		two := f.file(bob, "a/two", 20)
		f.used(ann, 300, 1)
		f.used(meta.Everybody, 320, 2)
		copied := must(f.Copy(f.ctx, one.Parent, cloud.Root, "b", bob, true, meta.ConflictFail, nil))(f)
		f.used(bob, 340, 3)
		must(f.SetOwner(f.ctx, copied.Entry.ID, ann, meta.Transfer{Deep: true}, nil))(f)
		f.used(bob, 20, 1)
		f.used(ann, 620, 3)
		f.replaceFile(ann, "a/one", 50)
		f.used(ann, 370, 3)
		must(f.Copy(f.ctx, one.ID, two.Parent, "two", bob, false, meta.ConflictClear, nil))(f)
		f.used(bob, 50, 1)
		must(f.Move(f.ctx, one.ID, two.Parent, "two", meta.ConflictReplace, nil))(f)
		f.used(bob, 0, 0)
		must(f.Delete(f.ctx, []cloud.EntryID{copied.Entry.ID}, nil))(f)
		f.used(ann, 50, 1)
		must(f.SetOwner(f.ctx, one.ID, 0, meta.Transfer{}, nil))(f)
		f.used(ann, 0, 0)
		f.used(meta.Everybody, 50, 1)
		f.replaceFile(bob, "a/two", 70) // which becomes his
		f.used(bob, 70, 1)
		f.used(meta.Everybody, 70, 1)
	}},
	{"trash and versions", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		f.SetRetention(meta.Retention{Trash: 1 << 40, Versions: 2, VersionAge: 1 << 40})
		file := f.file(ann, "file", 100)
		f.replaceFile(ann, "file", 30)
		f.used(ann, 130, 1)
		version := must(f.ListVersions(f.ctx, file.ID))(f)[0]
		must(f.RestoreVersion(f.ctx, file.ID, version.ID, nil))(f)
		f.used(ann, 130, 1)
		must(f.SetOwner(f.ctx, file.ID, bob, meta.Transfer{}, nil))(f)
		f.used(ann, 0, 0)
		f.used(bob, 130, 1)
		f.ok(f.DeleteVersion(f.ctx, file.ID, must(f.ListVersions(f.ctx, file.ID))(f)[0].ID, nil))
		f.used(bob, 100, 1)
		f.replaceFile(bob, "file", 7)
		f.used(bob, 107, 1)
		must(f.Delete(f.ctx, []cloud.EntryID{file.ID}, nil))(f)
		f.used(bob, 107, 1)
		f.same("usage", must(f.Usage(f.ctx, bob))(f), []meta.Usage{{Folder: meta.TrashRoot, Type: "text/plain", Files: 1, Bytes: 7}})
		must(f.Purge(f.ctx, []cloud.EntryID{file.ID}))(f)
		f.used(bob, 0, 0)
		f.used(meta.Everybody, 0, 0)
	}},
	{"usage", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		docs := f.file(ann, "docs/deep/a", 10)
		f.file(ann, "docs/b", 5)
		f.file(bob, "docs/c", 99)
		f.file(ann, "top", 3)
		top := must(f.Path(f.ctx, docs.ID))(f)[0]
		f.same("usage", must(f.Usage(f.ctx, ann))(f), []meta.Usage{
			{Folder: top.ID, Name: "docs", Type: "text/plain", Files: 2, Bytes: 15}, {Folder: cloud.Root, Type: "text/plain", Files: 1, Bytes: 3},
		})
		all := must(f.Quotas(f.ctx, "", "", 10))(f)
		f.same("users", [2]int64{all[0].Bytes, all[1].Bytes}, [2]int64{18, 99})
		f.same("next", must(f.Quotas(f.ctx, "", "ANN", 10))(f)[0].Name, "bob")
	}},
	{"bounds of others", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		f.ok(f.SetQuota(f.ctx, meta.Others, 100, 0))
		f.full(f.CreateUpload(f.ctx, f.upload(ann, "huge", 101)))
		f.ok(f.SetQuota(f.ctx, ann, 0, 0)) // no bound, of her own
		f.begin(f.upload(ann, "huge", 101))
		f.full(f.CreateUpload(f.ctx, f.upload(bob, "huge", 101)))
		f.file(bob, "small", 100)
		f.same("all", must(f.Quota(f.ctx, meta.Everybody))(f).MostBytes, int64(0))
		all := must(f.Quotas(f.ctx, "", "", 10))(f)
		f.same("ann's", all[0].Quota, meta.Quota{Own: true})
		f.same("bob's", all[1].Quota, meta.Quota{Bytes: 100, Files: 1, MostBytes: 100})
		f.ok(f.ClearQuota(f.ctx, ann))
		f.same("ann's again", must(f.Quota(f.ctx, ann))(f).MostBytes, int64(100))
		f.is(f.ClearQuota(f.ctx, bob+99), cloud.ErrNotFound)
		f.ok(f.SetQuota(f.ctx, bob, 5, 1))
		f.ok(f.SetQuota(f.ctx, meta.Others, 0, 0))
		f.same("bob's", must(f.Quota(f.ctx, bob))(f), meta.Quota{Bytes: 100, Files: 1, MostBytes: 5, MostFiles: 1, Own: true})
	}},
	{"found and seen", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		f.user("Joanna")
		f.ok(f.AppendAudit(f.ctx, meta.AuditRecord{At: at(5), Action: "sign-in", Done: true, User: ann},
			meta.AuditRecord{At: at(6), Action: "sign-in", User: ann}, meta.AuditRecord{At: at(7), Action: "other", Done: true, User: ann}))
		f.ok(f.CreateSession(f.ctx, session(bob, 3)))
		found := must(f.Quotas(f.ctx, "ANN", "", 10))(f)
		f.same("found", []string{found[0].Name, found[1].Name}, []string{"ann", "Joanna"})
		f.same("none", len(must(f.Quotas(f.ctx, "%", "", 10))(f)), 0)
		all := must(f.Quotas(f.ctx, "", "", 10))(f)
		f.same("signed in", all[0].SeenAt, at(5))
		f.same("seen", all[1].SeenAt.IsZero(), false)
		f.same("never", all[2].SeenAt.IsZero(), true)
	}},
	{"bounds", func(f *fixture) {
		ann, bob := f.user("ann"), f.user("bob")
		f.is(f.SetQuota(f.ctx, bob+99, 1, 1), cloud.ErrNotFound)
		f.is(f.SetQuota(f.ctx, ann, -1, 0), cloud.ErrInvalid)
		f.ok(f.SetQuota(f.ctx, ann, 250, 2))
		f.full(f.CreateUpload(f.ctx, f.upload(ann, "huge", 251)))
		u := f.upload(ann, "one", 200)
		f.begin(u)
		f.full(f.CreateUpload(f.ctx, f.upload(ann, "two", 51))) // which is promised to the first
		f.same("reserved", must(f.Quota(f.ctx, ann))(f).ReservedBytes, int64(200))
		f.fill(u)
		one := must(f.FinishUpload(f.ctx, u.ID, finish(meta.ConflictFail)))(f).Entry
		two := f.upload(ann, "two", 0)
		f.begin(two)
		f.full(f.CreateUpload(f.ctx, f.upload(ann, "three", 0))) // a third file
		f.ok(f.SetUploadState(f.ctx, two.ID, meta.UploadAborted, ""))

		// Of a size that is not known, as it grows.
		stream := f.upload(ann, "stream", -1)
		f.begin(stream)
		f.full(f.AddPart(f.ctx, stream.ID, 0, chunksOf(meta.Upload{Object: stream.Object, Size: 1000, PartSize: 100}, 0)))
		f.full(f.SetUploadSize(f.ctx, stream.ID, 51))
		f.ok(f.SetUploadSize(f.ctx, stream.ID, 50))
		f.ok(f.SetUploadState(f.ctx, stream.ID, meta.UploadAborted, ""))

		f.full(f.copyOf(one.ID, "copy", ann))
		other := f.file(bob, "other", 60)
		_, err := f.SetOwner(f.ctx, other.ID, ann, meta.Transfer{}, nil)
		f.full(err)
		f.same("owner", must(f.Entry(f.ctx, other.ID, meta.AnyViewer))(f).Owner, bob)

		// A bound may go below what is there; of others nobody takes notice.
		f.ok(f.SetQuota(f.ctx, ann, 100, 1))
		f.full(f.CreateUpload(f.ctx, f.upload(ann, "x", 1)))
		f.ok(f.copyOf(other.ID, "copy", bob))
		f.ok(f.SetQuota(f.ctx, meta.Everybody, 330, 0)) // 320 are there
		f.full(f.copyOf(other.ID, "copy 2", bob))
		f.ok(f.SetQuota(f.ctx, meta.Everybody, 0, 0))
		f.ok(f.copyOf(other.ID, "copy 2", bob))

		// The owner pays for what another writes into his file, and what makes it
		// smaller is always taken.
		f.full(f.replacing(bob, "one", 201))
		f.ok(f.replacing(bob, "one", 150))
	}},
	{"two for the last byte", func(f *fixture) {
		ann := f.user("ann")
		f.ok(f.SetQuota(f.ctx, ann, 1000, 0))
		var work sync.WaitGroup
		errs := make([]error, 16)
		uploads := make([]meta.Upload, len(errs))
		for i := range errs {
			uploads[i] = f.upload(ann, fmt.Sprint("file", i), 100)
		}
		for i := range errs {
			work.Go(func() { errs[i] = f.CreateUpload(f.ctx, uploads[i]) })
		}
		work.Wait()
		begun := 0
		for _, err := range errs {
			if err == nil {
				begun++
			} else {
				f.is(err, cloud.ErrFull)
			}
		}
		f.same("begun", begun, 10)
	}},
}

// used checks what is counted to a user, and that it is what is there.
func (f *fixture) used(user cloud.UserID, bytes, files int64) {
	f.Helper()
	q := must(f.Quota(f.ctx, user))(f)
	f.same(fmt.Sprint("used by ", user), [2]int64{q.Bytes, q.Files}, [2]int64{bytes, files})
	f.sound()
}

// full checks that there was no room, with a text for people.
func (f *fixture) full(err error) {
	f.Helper()
	f.is(err, cloud.ErrFull)
	if _, told := errors.AsType[*cloud.UserError](err); !told {
		f.Errorf("%v has no text", err)
	}
}

// replacing uploads another content of a file.
func (f *fixture) replacing(user cloud.UserID, path string, size int64) error {
	f.Helper()
	u := f.upload(user, path, size)
	u.Public = true
	f.begin(u)
	f.fill(u)
	_, err := f.FinishUpload(f.ctx, u.ID, finish(meta.ConflictReplace))
	return err
}

func (f *fixture) replaceFile(user cloud.UserID, path string, size int64) {
	f.Helper()
	f.ok(f.replacing(user, path, size))
}

func (f *fixture) copyOf(id cloud.EntryID, name string, owner cloud.UserID) error {
	_, err := f.Copy(f.ctx, id, cloud.Root, name, owner, true, meta.ConflictFail, nil)
	return err
}
