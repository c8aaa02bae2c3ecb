package vfs_test

import (
	"testing"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/vfs"
	"discordcloud/manager/internal/vfs/vfstest"
	"discordcloud/pkg/cloud"
)

// A search tells nothing that the tree would not show.
func TestSearch(t *testing.T) {
	w := vfstest.New(t)
	ada, bob := w.User(t, "ada"), w.User(t, "bob")
	w.Put(t, ada, "/open/note public.txt", []byte("a"), true)
	w.Put(t, ada, "/open/note private.txt", []byte("b"), false)
	w.Put(t, ada, "/hidden/below/note public.txt", []byte("c"), true)
	hidden, err := lookup(t, w, ada, "/hidden")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.FS.SetPublic(t.Context(), ada, hidden.ID, false); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		who  policy.Principal
		want map[string]bool
	}{
		{ada, map[string]bool{"/open/note public.txt": true, "/open/note private.txt": true, "/hidden/below/note public.txt": true}},
		{bob, map[string]bool{"/open/note public.txt": true}},
	} {
		found, next, err := w.FS.Search(t.Context(), tt.who, meta.Find{Text: "NOTE", Limit: 10})
		if err != nil || next != "" || len(found) != len(tt.want) {
			t.Errorf("%s finds %+v, %q, %v", tt.who.Name, found, next, err)
		}
		for _, e := range found {
			if path := vfs.JoinPath(append(e.Folder, e.Name)); !tt.want[path] {
				t.Errorf("%s finds %s", tt.who.Name, path)
			}
		}
	}
	_, _, err = w.FS.Search(t.Context(), policy.Principal{}, meta.Find{Text: "note", Limit: 10})
	mustBe(t, err, cloud.ErrUnauthenticated)
}
