package api_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"discordcloud/manager/internal/api"
	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// What is done is written down, with who did it and from where, and told to
// administrators alone.
func TestAudit(t *testing.T) {
	w := open(t, func(o *api.Options) { o.TrustedProxies = []string{"127.0.0.1"} })
	root := w.person(t, "root")
	ada := w.person(t, "ada")
	bob := w.person(t, "bob")
	ask := func(who person, method, path string, body any, want int) answer {
		t.Helper()
		got := w.ask(t, method, path, who.token, body, "X-Forwarded-For", "10.1.2.3")
		if got.status != want {
			t.Fatalf("%s %s: status %d, want %d: %s", method, path, got.status, want, got.body)
		}
		return got
	}
	into := func(a answer, v any) {
		t.Helper()
		if err := json.Unmarshal(a.body, v); err != nil {
			t.Fatal(err)
		}
	}
	nobody := person{}
	ask(nobody, "POST", "/api/login", record{"username": "ada", "password": "wrong password"}, 401)
	ask(nobody, "POST", "/api/login", record{"username": "my own secret", "password": "x"}, 401)
	ask(nobody, "POST", "/api/login", record{"username": "ada", "password": password}, 200)
	var made struct{ Group struct{ ID cloud.GroupID } }
	into(ask(root, "POST", "/api/groups", record{"name": "=club"}, 200), &made)
	club := made.Group.ID
	ask(root, "PUT", fmt.Sprintf("/api/groups/%d/members/%d", club, bob.User), nil, 204)
	ask(root, "PUT", fmt.Sprintf("/api/groups/%d/members/%d", club, bob.User), nil, 204) // changes nothing
	file := w.Put(t, ada.Principal, "/=1+1.txt", []byte("x"), false)
	ask(ada, "PUT", fmt.Sprintf("/api/entries/%d/shares/groups/%d", file.ID, club), record{"can_write": true}, 200)
	ask(ada, "DELETE", fmt.Sprintf("/api/entries/%d/shares/groups/%d", file.ID, club), nil, 204)
	ask(ada, "PATCH", target(file.ID, ""), record{"public": true}, 200)
	ask(ada, "POST", target(file.ID, "/transfer"), record{"user": bob.User}, 200)
	ask(bob, "POST", "/api/delete", record{"ids": []cloud.EntryID{file.ID}}, 200)

	ask(ada, "GET", "/api/audit", nil, 403)
	type line struct {
		Number                 int64
		Action, About, Address string
		Detail                 string
		Done                   bool
		User                   *struct{ Name string }
		Entry                  cloud.EntryID
	}
	var log struct {
		Records []line
		Next    int64
	}
	into(ask(root, "GET", "/api/audit?limit=1000", nil, 200), &log)
	slices.Reverse(log.Records)
	var got []string
	for _, r := range log.Records {
		name := "-"
		if r.User != nil {
			name = r.User.Name
		}
		if r.Action == "user-created" {
			continue
		}
		if r.Address != "10.1.2.3" {
			t.Errorf("%s came from %q", r.Action, r.Address)
		}
		s := name + " " + r.Action + " " + r.About + " " + r.Detail
		if !r.Done {
			s += "REFUSED"
		}
		got = append(got, strings.TrimSpace(s))
	}
	want := []string{
		"ada sign-in  REFUSED", "- sign-in  REFUSED", "ada sign-in", "root group-created =club", "root member-added =club bob",
		"ada shared /=1+1.txt group =club, may write", "ada unshared /=1+1.txt group =club", "ada made-public /=1+1.txt",
		"ada transferred /=1+1.txt bob", "bob deleted /=1+1.txt",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the log tells\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	log.Next = 0
	into(ask(root, "GET", fmt.Sprintf("/api/audit?limit=2&user=%d&entry=%d", bob.User, file.ID), nil, 200), &log)
	if len(log.Records) != 1 || log.Records[0].Action != "deleted" || log.Next != 0 {
		t.Errorf("filtered: %+v", log)
	}
	ask(root, "GET", "/api/audit?since=yesterday", nil, 400)
	ask(root, "GET", "/api/audit?before=x", nil, 400)
	ask(root, "GET", "/api/audit/export?format=xml", nil, 400)

	// As a table no cell is a formula.
	table := ask(root, "GET", "/api/audit/export?format=csv", nil, 200)
	rows, err := csv.NewReader(strings.NewReader(string(table.body))).ReadAll()
	if err != nil || len(rows) < len(want) {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") {
				t.Errorf("a cell is %q", cell)
			}
		}
	}
	if d := table.header.Get("Content-Disposition"); !strings.HasPrefix(d, "attachment") {
		t.Errorf("Content-Disposition is %q", d)
	}
	lines := strings.Split(strings.TrimSpace(string(ask(root, "GET", "/api/audit/export?format=jsonl", nil, 200).body)), "\n")
	if len(lines) != len(rows)-1 {
		t.Errorf("%d lines, and %d rows", len(lines), len(rows)-1)
	}
	for _, l := range lines {
		var r line
		if err := json.Unmarshal([]byte(l), &r); err != nil {
			t.Errorf("%s: %v", l, err)
		}
	}
	if logs := w.logs.String(); strings.Contains(logs, "1+1.txt") || strings.Contains(logs, "my own secret") {
		t.Error("a name got into the server's log")
	}
	if state, err := w.Store.VerifyAudit(t.Context()); err != nil || state.Fault != "" || state.Records != int64(len(lines)) {
		t.Errorf("VerifyAudit = %+v, %v", state, err)
	}
}

// An export reads on beyond its first page.
func TestAudit_longExport(t *testing.T) {
	w := open(t, nil)
	root := w.person(t, "root")
	records := make([]meta.AuditRecord, 2500)
	for i := range records {
		records[i].Action = "deleted"
	}
	if err := w.Store.AppendAudit(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
	got := w.ask(t, http.MethodGet, "/api/audit/export?format=jsonl&action=deleted", root.token, nil)
	if n := strings.Count(string(got.body), "\n"); got.status != 200 || n != len(records) {
		t.Errorf("status %d, %d lines", got.status, n)
	}
}
