package api_test

import (
	"fmt"
	"slices"
	"testing"

	"discordcloud/pkg/cloud"
)

// An archive goes on where it broke off, as long as it is the same; a ticket for
// the folder is enough for a part of what is in it, and for nothing else.
func TestArchive_ResumedAndSelected(t *testing.T) {
	w := open(t, nil)
	ada, bob := w.person(t, "ada"), w.person(t, "bob")
	a := w.Put(t, ada.Principal, "/f/a.txt", []byte("hello"), false)
	deep := w.Put(t, ada.Principal, "/f/sub/deep.txt", []byte("deep"), false)
	c := w.Put(t, ada.Principal, "/f/c.txt", []byte("c"), true)
	other := w.Put(t, ada.Principal, "/g/x.txt", []byte("x"), false)
	folder := target(a.Parent, "/archive")
	tk := want(t, w.ask(t, "POST", "/api/tickets", ada.token, record{"purpose": "download", "entry": a.Parent}), 200).json(t)
	ticket := "ticket=" + tk["ticket"].(string)

	whole := want(t, w.get(t, folder+"?"+ticket), 200)
	tag := whole.header.Get("ETag")
	rest := want(t, w.get(t, folder+"?"+ticket, "Range", "bytes=100-", "If-Range", tag), 206)
	if string(rest.body) != string(whole.body[100:]) {
		t.Errorf("%d bytes from 100 are others than of the whole, %d", len(rest.body), len(whole.body))
	}
	only := func(ids ...cloud.EntryID) string {
		q := folder + "?" + ticket + "&only="
		for i, id := range ids {
			if i > 0 {
				q += ","
			}
			q += fmt.Sprint(id)
		}
		return q
	}
	part := want(t, w.get(t, only(deep.Parent, c.ID)), 200)
	if got := members(t, part.body); !slices.Equal(got, []string{"c.txt", "sub/", "sub/deep.txt"}) {
		t.Errorf("of the selection came %q", got)
	}
	if part.header.Get("ETag") == tag {
		t.Error("a selection has the tag of the whole")
	}
	want(t, w.get(t, only(other.ID)), 404)
	want(t, w.get(t, only(c.ID, other.Parent)), 404)
	want(t, w.get(t, only(deep.ID)), 404) // it is not in the folder itself
	want(t, w.get(t, folder+"?"+ticket+"&only=1,x"), 400)

	// Bob sees one file of it, and cannot select the others.
	bobs := members(t, want(t, w.ask(t, "GET", folder, bob.token, nil), 200).body)
	if !slices.Contains(bobs, "c.txt") || slices.Contains(bobs, "a.txt") {
		t.Errorf("bob got %q", bobs)
	}
	want(t, w.ask(t, "GET", folder+fmt.Sprintf("?only=%d", c.ID), bob.token, nil), 200)
	want(t, w.ask(t, "GET", folder+fmt.Sprintf("?only=%d,%d", c.ID, a.ID), bob.token, nil), 404)

	w.Put(t, ada.Principal, "/f/new.txt", []byte("new"), false)
	again := want(t, w.get(t, folder+"?"+ticket, "Range", "bytes=100-", "If-Range", tag), 200)
	if len(again.body) <= len(whole.body) {
		t.Error("a changed archive went on in the middle")
	}
}
