package api_test

import (
	"fmt"
	"testing"

	"discordcloud/pkg/cloud"
)

// Who shares sees who else gets at the entry, and by which folder; a folder that
// is hidden from him is not named.
func TestShares_Inherited(t *testing.T) {
	w := open(t, nil)
	ada, bob, eve := w.person(t, "ada"), w.person(t, "bob"), w.person(t, "eve")
	plans := w.Folder(t, ada.Principal, "Plans")
	trip := w.Folder(t, ada.Principal, "Plans/Trip")
	for folder, with := range map[cloud.EntryID]person{plans.ID: eve, trip.ID: bob} {
		want(t, w.ask(t, "PATCH", target(folder, ""), ada.token, record{"public": false}), 200)
		want(t, w.ask(t, "PUT", target(folder, fmt.Sprintf("/shares/users/%d", with.User)), ada.token, record{"can_write": true}), 200)
	}
	hers := w.Put(t, ada.Principal, "/Plans/Trip/map.txt", []byte("x"), false)
	his := w.Put(t, ada.Principal, "/Plans/Trip/list.txt", []byte("x"), false)
	want(t, w.ask(t, "POST", target(his.ID, "/transfer"), ada.token, record{"user": bob.User}), 200)
	from := func(p person, id cloud.EntryID) map[string]string {
		got := map[string]string{}
		list := want(t, w.ask(t, "GET", target(id, "/shares"), p.token, nil), 200).json(t)["inherited"].([]any)
		for _, s := range list {
			folder, _ := s.(record)["from"].(record)
			got[fmt.Sprint(s.(record)["user"].(record)["name"])] = fmt.Sprint(folder["name"])
		}
		return got
	}
	if got := fmt.Sprint(from(ada, hers.ID)); got != "map[bob:Trip eve:Plans]" {
		t.Errorf("ada is told %v", got)
	}
	if got := fmt.Sprint(from(bob, his.ID)); got != "map[ada:Trip eve:<nil>]" {
		t.Errorf("bob, who does not see Plans, is told %v", got)
	}
}
