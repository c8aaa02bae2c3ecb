package dav_test

import (
	"slices"
	"testing"
	"time"

	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// What is deleted, or replaced by a MOVE, is in the trash and comes back from it;
// the content that a PUT replaces is a version.
func TestTrash(t *testing.T) {
	w := open(t, nil)
	w.store.SetRetention(meta.Retention{Trash: time.Hour, Versions: 5, VersionAge: time.Hour})
	c := w.client("ada", auth.AppPassword{})
	content := pattern(partSize + 1)
	c.want(201, "MKCOL", "/d", "")
	c.want(201, "PUT", "/d/f", string(content))
	c.want(201, "PUT", "/gone", "gone")
	c.want(201, "MKCOL", "/e", "")
	c.want(204, "DELETE", "/gone", "")
	c.want(204, "MOVE", "/e", "", "Destination", "{url}/d") // all that was in d goes
	c.want(404, "GET", "/d/f", "")
	c.want(404, "GET", "/gone", "")
	all, _, err := w.fs.Trash(t.Context(), c.user, "", 10)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	var ids []cloud.EntryID
	for _, e := range all {
		names, ids = append(names, e.Entry.Name), append(ids, e.Entry.ID)
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"d", "gone"}) {
		t.Fatalf("the trash holds %q", names)
	}
	c.want(204, "DELETE", "/d", "")
	if _, err := w.fs.Restore(t.Context(), c.user, ids, nil, meta.ConflictFail); err != nil {
		t.Fatal(err)
	}
	c.reads("/d/f", content)
	c.reads("/gone", []byte("gone"))

	c.want(204, "PUT", "/d/f", "new")
	e, err := w.fs.Lookup(t.Context(), c.user, []string{"d", "f"})
	if err != nil {
		t.Fatal(err)
	}
	versions, err := w.fs.Versions(t.Context(), c.user, e.ID)
	if err != nil || len(versions) == 0 {
		t.Fatalf("versions %v, %v", versions, err)
	}
	if _, err := w.fs.RestoreVersion(t.Context(), c.user, e.ID, versions[len(versions)-1].ID); err != nil {
		t.Fatal(err)
	}
	c.reads("/d/f", content)
	w.sound()
}
