package api_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"discordcloud/pkg/cloud"
)

func read(t *testing.T, a answer, into any) {
	t.Helper()
	if err := json.Unmarshal(a.body, into); err != nil {
		t.Fatalf("%v: %.300s", err, a.body)
	}
}

func TestCopyMany(t *testing.T) {
	w := open(t, nil)
	ada, bob := w.person(t, "ada"), w.person(t, "bob")
	file := w.Put(t, ada.Principal, "/a.txt", []byte("abc"), false)
	folder := w.Folder(t, ada.Principal, "/docs")
	w.Put(t, ada.Principal, "/docs/hidden.txt", []byte("h"), false)
	w.Put(t, ada.Principal, "/docs/open.txt", []byte("o"), true)

	type answer struct {
		Entries []struct {
			ID    cloud.EntryID
			Name  string
			Owner struct{ Name string }
		}
	}
	paste := func(who string, status int, parent cloud.EntryID, on string, ids ...cloud.EntryID) (a answer) {
		t.Helper()
		read(t, want(t, w.ask(t, "POST", "/api/copy", w.signIn(t, who).token, record{"ids": ids, "parent": parent, "on_conflict": on}), status), &a)
		return a
	}
	if got := paste("ada", 200, 0, "rename", file.ID); got.Entries[0].Name != "a (1).txt" || got.Entries[0].ID == file.ID {
		t.Errorf("beside itself: %+v", got)
	}
	w.Put(t, ada.Principal, "/docs/a.txt", []byte("taken"), false)
	paste("ada", 409, folder.ID, "fail", file.ID)
	paste("ada", 400, 0, "replace", file.ID)
	paste("ada", 400, folder.ID, "fail", folder.ID)
	paste("bob", 404, 0, "rename", file.ID)
	got := paste("bob", 200, 0, "rename", folder.ID)
	if got.Entries[0].Owner.Name != "bob" {
		t.Errorf("a copy is %+v", got)
	}
	var inside struct{ Files, Bytes int64 }
	read(t, want(t, w.ask(t, "GET", target(got.Entries[0].ID, "/sizes"), bob.token, nil), 200), &inside)
	if inside.Files != 1 || inside.Bytes != 1 { // what is hidden from bob is not copied for him
		t.Errorf("inside the copy: %+v", inside)
	}
}

func TestStars(t *testing.T) {
	w := open(t, nil)
	ada, bob := w.person(t, "ada"), w.person(t, "bob")
	one := w.Put(t, ada.Principal, "/one.txt", []byte("1"), true)
	w.Put(t, ada.Principal, "/two.txt", []byte("2"), true)
	want(t, w.ask(t, "PUT", target(one.ID, "/star"), ada.token, nil), 204)
	for token, n := range map[string]int{ada.token: 1, bob.token: 0} {
		var stars struct{ IDs []cloud.EntryID }
		read(t, want(t, w.ask(t, "GET", "/api/stars", token, nil), 200), &stars)
		var found struct{ Entries []struct{ Name, Path string } }
		read(t, want(t, w.ask(t, "GET", "/api/search?starred=1", token, nil), 200), &found)
		if len(stars.IDs) != n || len(found.Entries) != n || n == 1 && found.Entries[0].Name != "one.txt" {
			t.Errorf("stars %+v, found %+v", stars, found)
		}
	}
	want(t, w.ask(t, "DELETE", target(one.ID, "/star"), ada.token, nil), 204)
	var recent struct{ Entries []struct{ Name string } }
	read(t, want(t, w.ask(t, "GET", "/api/search?sort=updated_at&kind=file&type=image/,text/plain", ada.token, nil), 200), &recent)
	if len(recent.Entries) != 2 || recent.Entries[0].Name != "two.txt" {
		t.Errorf("recent: %+v", recent)
	}
	for _, bad := range []string{"sort=size", "q=a&type=image/,,text/", "starred=2"} {
		want(t, w.ask(t, "GET", "/api/search?"+bad, ada.token, nil), 400)
	}
}

func TestStorage(t *testing.T) {
	w := open(t, nil)
	w.person(t, "root") // the first is an administrator
	ada, bob := w.person(t, "ada"), w.person(t, "bob")
	file := w.Put(t, ada.Principal, "/a.txt", []byte("abc"), true)
	var got struct {
		Channels []struct {
			Messages, Chunks int64
			SealedBytes      int64 `json:"sealed_bytes"`
		}
	}
	read(t, want(t, w.ask(t, "GET", target(file.ID, "/storage"), ada.token, nil), 200), &got)
	if len(got.Channels) != 1 || got.Channels[0].Chunks != 1 || got.Channels[0].SealedBytes <= 3 {
		t.Errorf("storage %+v", got)
	}
	want(t, w.ask(t, "GET", target(file.ID, "/storage"), w.signIn(t, "root").token, nil), 200)
	want(t, w.ask(t, "GET", target(file.ID, "/storage"), bob.token, nil), 403)
	want(t, w.ask(t, "GET", target(0, "/storage"), w.signIn(t, "root").token, nil), 400)
}

func TestChildren_Offset(t *testing.T) {
	w := open(t, nil)
	ada := w.person(t, "ada")
	for i := range 5 {
		w.Put(t, ada.Principal, fmt.Sprintf("/f%d", i), []byte("x"), true)
	}
	var page struct{ Entries []struct{ Name string } }
	read(t, want(t, w.ask(t, "GET", target(0, "/children?offset=3&limit=2"), ada.token, nil), 200), &page)
	if len(page.Entries) != 2 || page.Entries[0].Name != "f3" {
		t.Errorf("page %+v", page)
	}
	for _, bad := range []string{"offset=-1", "offset=x", "offset=1&after=x"} {
		want(t, w.ask(t, "GET", target(0, "/children?"+bad), ada.token, nil), 400)
	}
}
