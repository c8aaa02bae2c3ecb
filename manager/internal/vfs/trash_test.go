package vfs_test

import (
	"io"
	"testing"
	"time"

	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/vfs"
	"discordcloud/manager/internal/vfs/vfstest"
	"discordcloud/pkg/cloud"
)

// kept opens a world that keeps what is deleted and replaced.
func kept(t *testing.T) *vfstest.World {
	w := vfstest.New(t)
	w.Store.SetRetention(meta.Retention{Trash: time.Hour, Versions: 5, VersionAge: time.Hour})
	return w
}

func TestTrash(t *testing.T) {
	w := kept(t)
	ctx := t.Context()
	ann, bob, eve := w.User(t, "ann"), w.User(t, "bob"), w.User(t, "eve")
	file := w.Put(t, ann, "/docs/file.txt", []byte("one"), true)
	if _, err := w.FS.Share(ctx, ann, file.ID, vfs.Grantee{User: bob.User}, true); err != nil {
		t.Fatal(err)
	}
	var news []event.Action
	defer w.Bus.Subscribe(func(v any) {
		if c, ok := v.(*event.Change); ok && c.Entry.ID == file.ID {
			news = append(news, c.Action)
		}
	})()
	d, err := w.FS.Delete(ctx, bob, file.ID)
	if err != nil || len(d.Trash) != 1 || d.Trash[0] != file.ID {
		t.Fatalf("Delete = %+v, %v", d, err)
	}
	for name, who := range map[string]policy.Principal{"ann": ann, "bob": bob, "eve": eve} {
		if _, err := w.FS.Entry(ctx, who, file.ID); cloud.KindOf(err) != cloud.ErrNotFound {
			t.Errorf("Entry for %s = %v, want ErrNotFound", name, err)
		}
		all, _, err := w.FS.Trash(ctx, who, "", 10)
		if want := name != "eve"; err != nil || len(all) > 0 != want {
			t.Errorf("the trash of %s: %v, %v", name, all, err)
		}
	}
	if _, err := w.FS.Restore(ctx, eve, d.Trash, nil, meta.ConflictRename); cloud.KindOf(err) != cloud.ErrNotFound {
		t.Errorf("Restore of another's = %v, want ErrNotFound", err)
	}
	if _, err := w.FS.Purge(ctx, bob, file.ID); cloud.KindOf(err) != cloud.ErrDenied {
		t.Errorf("Purge by who is not the owner = %v, want ErrDenied", err)
	}
	if d, err := w.FS.EmptyTrash(ctx, bob); err != nil || d.Files != 0 {
		t.Errorf("EmptyTrash by who owns nothing there = %+v, %v", d, err)
	}
	r, err := w.FS.Restore(ctx, bob, d.Trash, nil, meta.ConflictRename)
	if err != nil || len(r) != 1 || r[0].After.Parent != file.Parent || r[0].After.Name != "file.txt" || !r[0].After.Public {
		t.Fatalf("Restore = %+v, %v", r, err)
	}
	if len(news) != 2 || news[0] != event.Removed || news[1] != event.Added {
		t.Errorf("news %v, want removed and added", news)
	}
	if _, err := w.FS.Delete(ctx, ann, file.ID); err != nil {
		t.Fatal(err)
	}
	if d, err := w.FS.EmptyTrash(ctx, ann); err != nil || d.Files != 1 {
		t.Errorf("EmptyTrash = %+v, %v", d, err)
	}
	if _, err := w.FS.Restore(ctx, ann, d.Trash, nil, meta.ConflictRename); cloud.KindOf(err) != cloud.ErrNotFound {
		t.Errorf("Restore of what is gone = %v, want ErrNotFound", err)
	}
}

// What cannot go back to where it was is seen by nobody who did not see it there.
func TestTrash_RestoreElsewhere(t *testing.T) {
	w := kept(t)
	ctx := t.Context()
	ann, bob := w.User(t, "ann"), w.User(t, "bob")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	restore := func(who policy.Principal, ids ...cloud.EntryID) cloud.Entry {
		t.Helper()
		r, err := w.FS.Restore(ctx, who, ids, nil, meta.ConflictRename)
		must(err)
		return r[len(r)-1].After
	}
	file := w.Put(t, ann, "/secret/deep/file.txt", []byte("one"), true)
	secret, err := w.FS.Lookup(ctx, ann, []string{"secret"})
	must(err)
	_, err = w.FS.SetPublic(ctx, ann, secret.ID, false)
	must(err)
	_, err = w.FS.Delete(ctx, ann, file.ID)
	must(err)
	_, err = w.FS.Delete(ctx, ann, secret.ID)
	must(err)

	// Both at once: the folder comes first, whatever the order of the ids.
	if e := restore(ann, file.ID, secret.ID); e.ID != file.ID || e.Parent != file.Parent {
		t.Errorf("the file came back to folder %d, want %d", e.Parent, file.Parent)
	}
	// Without its folder: made again, for the owner alone.
	_, err = w.FS.Delete(ctx, ann, file.ID)
	must(err)
	_, err = w.FS.Delete(ctx, ann, secret.ID)
	must(err)
	restore(ann, file.ID)
	if names, err := w.FS.PathOf(ctx, file.ID); err != nil || len(names) != 3 || names[0] != "secret" {
		t.Errorf("the file came back to %q, %v", names, err)
	}
	if _, err := w.FS.Lookup(ctx, bob, []string{"secret"}); cloud.KindOf(err) != cloud.ErrNotFound {
		t.Errorf("the folder that was made again shows to others: %v", err)
	}
	// Where another's folder has the name: to the top, restricted.
	_, err = w.FS.Delete(ctx, ann, file.ID)
	must(err)
	again, err := w.FS.Lookup(ctx, ann, []string{"secret"})
	must(err)
	_, err = w.FS.Delete(ctx, ann, again.ID)
	must(err)
	theirs := w.Folder(t, bob, "/secret")
	_, err = w.FS.SetPublic(ctx, bob, theirs.ID, false)
	must(err)
	if e := restore(ann, file.ID); e.Parent != cloud.Root || e.Public {
		t.Errorf("the file came back to folder %d, public: %t", e.Parent, e.Public)
	}
	// Into a folder that is named, as any move into it.
	_, err = w.FS.Delete(ctx, ann, file.ID)
	must(err)
	if _, err := w.FS.Restore(ctx, ann, []cloud.EntryID{file.ID}, &theirs.ID, meta.ConflictRename); cloud.KindOf(err) != cloud.ErrNotFound {
		t.Errorf("Restore into a hidden folder = %v, want ErrNotFound", err)
	}
	w.Put(t, bob, "/file.txt", []byte("in the way"), true)
	root := cloud.Root
	if _, err := w.FS.Restore(ctx, ann, []cloud.EntryID{file.ID}, &root, meta.ConflictReplace); cloud.KindOf(err) != cloud.ErrDenied {
		t.Errorf("Restore over another's file = %v, want ErrDenied", err)
	}
	if _, err := w.FS.Restore(ctx, ann, []cloud.EntryID{file.ID}, &root, meta.ConflictFail); cloud.KindOf(err) != cloud.ErrExists {
		t.Errorf("Restore onto a taken name = %v, want ErrExists", err)
	}
}

func TestVersions(t *testing.T) {
	w := kept(t)
	ctx := t.Context()
	ann, bob, eve := w.User(t, "ann"), w.User(t, "bob"), w.User(t, "eve")
	file := w.Put(t, ann, "/file.txt", []byte("first"), false)
	w.Put(t, ann, "/file.txt", []byte("second!"), false)
	if _, err := w.FS.Share(ctx, ann, file.ID, vfs.Grantee{User: bob.User}, false); err != nil {
		t.Fatal(err)
	}
	all, err := w.FS.Versions(ctx, bob, file.ID)
	if err != nil || len(all) != 1 || all[0].Size != 5 || all[0].ReplacedBy != ann.User {
		t.Fatalf("Versions = %+v, %v", all, err)
	}
	v := all[0].ID
	read := func(who policy.Principal) (string, error) {
		c, err := w.FS.OpenVersion(ctx, who, file.ID, v)
		if err != nil {
			return "", err
		}
		r, err := c.OpenRange(ctx, 1, 3)
		if err != nil {
			return "", err
		}
		defer r.Close()
		b, err := io.ReadAll(r)
		return string(b), err
	}
	if got, err := read(bob); got != "irs" || err != nil {
		t.Errorf("a range of the version is %q, %v", got, err)
	}
	if _, err := read(eve); cloud.KindOf(err) != cloud.ErrNotFound {
		t.Errorf("somebody else reads it: %v", err)
	}
	if _, err := read(policy.Principal{Role: policy.LinkHolder, Entry: file.ID}); cloud.KindOf(err) != cloud.ErrDenied {
		t.Errorf("a link to the content of now reads it: %v", err)
	}
	if _, err := w.FS.RestoreVersion(ctx, bob, file.ID, v); cloud.KindOf(err) != cloud.ErrDenied {
		t.Errorf("a reader restores it: %v", err)
	}
	if err := w.FS.DeleteVersion(ctx, bob, file.ID, v); cloud.KindOf(err) != cloud.ErrDenied {
		t.Errorf("a reader deletes it: %v", err)
	}
	e, err := w.FS.RestoreVersion(ctx, ann, file.ID, v)
	if err != nil || e.ID != file.ID || e.Object != file.Object {
		t.Errorf("RestoreVersion = %+v, %v", e, err)
	}
	if all, err = w.FS.Versions(ctx, ann, file.ID); err != nil || len(all) != 1 || all[0].Size != 7 {
		t.Errorf("Versions = %+v, %v", all, err)
	}
	if err := w.FS.DeleteVersion(ctx, ann, file.ID, all[0].ID); err != nil {
		t.Error(err)
	}
	if _, err := w.FS.Versions(ctx, ann, w.Folder(t, ann, "/folder").ID); cloud.KindOf(err) != cloud.ErrInvalid {
		t.Errorf("versions of a folder: %v", err)
	}
}
