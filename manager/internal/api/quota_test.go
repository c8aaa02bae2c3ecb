package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Who has no bounds of his own has those of others, until he gets some.
func TestQuota_others(t *testing.T) {
	w := open(t, nil)
	root, ann := w.person(t, "root"), w.person(t, "ann")
	type bounds struct{ Bytes, Files int64 }
	account := func() (most bounds, own bool) {
		t.Helper()
		var list struct {
			Accounts []struct {
				Name   string
				Most   bounds
				Own    bool
				SeenAt *string `json:"seen_at"`
			}
		}
		decode(t, w.want(t, http.StatusOK, "GET", "/api/accounts?query=AN", root.token, nil), &list)
		if len(list.Accounts) != 1 || list.Accounts[0].SeenAt == nil {
			t.Fatalf("accounts: %+v", list.Accounts)
		}
		return list.Accounts[0].Most, list.Accounts[0].Own
	}
	at := fmt.Sprintf("/api/quotas/%d", ann.User)
	for _, step := range []struct {
		method, path string
		body         any
		most         bounds
		own          bool
	}{
		{"PUT", "/api/quotas/others", record{"bytes": 500, "files": 0}, bounds{500, 0}, false},
		{"PUT", at, record{"bytes": 0, "files": 7}, bounds{0, 7}, true},
		{"PUT", at, record{"bytes": 0, "files": 0}, bounds{}, true},
		{"DELETE", at, nil, bounds{500, 0}, false},
	} {
		w.want(t, http.StatusOK, step.method, step.path, root.token, step.body)
		if most, own := account(); most != step.most || own != step.own {
			t.Errorf("after %s %s %v: %+v, own %t", step.method, step.path, step.body, most, own)
		}
	}
	var all struct{ Others bounds }
	decode(t, w.want(t, http.StatusOK, "GET", "/api/quotas", root.token, nil), &all)
	if all.Others != (bounds{500, 0}) {
		t.Errorf("others: %+v", all.Others)
	}
	var log struct {
		Records []struct{ About, Detail string }
	}
	decode(t, w.want(t, http.StatusOK, "GET", "/api/audit?text=AS%20others", root.token, nil), &log)
	if len(log.Records) != 1 || log.Records[0].About != "ann" {
		t.Errorf("the audit log says %+v", log.Records)
	}
	decode(t, w.want(t, http.StatusOK, "GET", "/api/audit?refused=1", root.token, nil), &log)
	if len(log.Records) != 0 {
		t.Errorf("refused: %+v", log.Records)
	}
	var chain struct {
		Records    int64
		Sum, Fault string
	}
	decode(t, w.want(t, http.StatusOK, "GET", "/api/audit/verify", root.token, nil), &chain)
	if chain.Records == 0 || len(chain.Sum) != 64 || strings.Trim(chain.Sum, "0") == "" || chain.Fault != "" {
		t.Errorf("chain: %+v", chain)
	}
}

// That a quota is full is nobody's business but its user's.
func TestQuota_full(t *testing.T) {
	w := open(t, nil)
	root, ann := w.person(t, "root"), w.person(t, "ann")
	file := w.Put(t, ann.Principal, "/file", []byte("abc"), false)
	w.want(t, http.StatusOK, "PUT", fmt.Sprintf("/api/quotas/%d", ann.User), root.token, record{"bytes": 0, "files": 1})
	w.want(t, http.StatusInsufficientStorage, "POST", "/api/copy", ann.token, record{"ids": []any{file.ID}, "parent": 0, "on_conflict": "rename"})
	if logs := w.logs.String(); strings.Contains(logs, "level=ERROR") || strings.Contains(logs, "level=WARN") {
		t.Errorf("the log has more than a line for those who look for faults:\n%s", logs)
	}
}
