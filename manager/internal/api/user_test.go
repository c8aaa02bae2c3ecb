package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/event"
	"discordcloud/pkg/cloud"
)

// endings collects the users whose sessions have ended all at once.
func (w *world) endings(t *testing.T) func() map[cloud.UserID]int {
	var mu sync.Mutex
	ended := map[cloud.UserID]int{}
	t.Cleanup(w.Bus.Subscribe(func(v any) {
		if s, ok := v.(*event.Session); ok && len(s.IDs) == 0 {
			mu.Lock()
			defer mu.Unlock()
			ended[s.User]++
		}
	}))
	return func() map[cloud.UserID]int {
		mu.Lock()
		defer mu.Unlock()
		return ended
	}
}

func (w *world) want(t *testing.T, status int, method, target, token string, body any) answer {
	t.Helper()
	got := w.ask(t, method, target, token, body)
	if got.status != status {
		t.Fatalf("%s %s: status %d, want %d: %.200s", method, target, got.status, status, got.body)
	}
	return got
}

// A user goes through all that administrators can do with him.
func TestUser_administered(t *testing.T) {
	w := open(t, nil)
	root, ann := w.person(t, "root"), w.person(t, "ann")
	ended := w.endings(t)
	_, app, err := w.auth.MakeAppPassword(t.Context(), ann.Principal, auth.AppPassword{})
	if err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprintf("/api/users/%d", ann.User)

	w.want(t, http.StatusOK, "PATCH", at, root.token, record{"disabled": true})
	w.want(t, http.StatusUnauthorized, "GET", "/api/me", ann.token, nil)
	if _, err := w.auth.VerifyAppPassword(t.Context(), "ann", app); err == nil {
		t.Error("an app password of a disabled account is taken")
	}
	wrong := w.want(t, http.StatusUnauthorized, "POST", "/api/login", "", record{"username": "ann", "password": password})
	unknown := w.want(t, http.StatusUnauthorized, "POST", "/api/login", "", record{"username": "nobody", "password": password})
	if a, b := message(t, wrong), message(t, unknown); a != b {
		t.Errorf("a disabled account is told from none: %q, %q", a, b)
	}
	if ended()[ann.User] != 1 {
		t.Errorf("ends told: %v", ended())
	}

	w.want(t, http.StatusOK, "PATCH", at, root.token, record{"disabled": false})
	ann = w.signIn(t, "ann")
	w.want(t, http.StatusForbidden, "GET", "/api/accounts", ann.token, nil)
	w.want(t, http.StatusOK, "PATCH", at, root.token, record{"administrator": true})
	w.want(t, http.StatusOK, "GET", "/api/accounts", ann.token, nil)
	w.want(t, http.StatusOK, "PATCH", at, root.token, record{"administrator": false})
	w.want(t, http.StatusUnauthorized, "GET", "/api/accounts", ann.token, nil)
	w.want(t, http.StatusForbidden, "PATCH", fmt.Sprintf("/api/users/%d", root.User), root.token, record{"disabled": true})
	w.want(t, http.StatusBadRequest, "PATCH", at, root.token, record{})
	w.want(t, http.StatusBadRequest, "PATCH", at, root.token, record{"name": "x"})

	var fresh struct{ Password string }
	decode(t, w.want(t, http.StatusOK, "POST", at+"/password", root.token, nil), &fresh)
	w.want(t, http.StatusUnauthorized, "POST", "/api/login", "", record{"username": "ann", "password": password})
	w.want(t, http.StatusOK, "POST", "/api/login", "", record{"username": "ann", "password": fresh.Password})

	w.want(t, http.StatusBadRequest, "POST", fmt.Sprintf("/api/users/%d/delete", root.User), root.token, record{})
	w.want(t, http.StatusNoContent, "POST", at+"/delete", root.token, record{})
	w.want(t, http.StatusNotFound, "POST", at+"/delete", root.token, record{})
	var log struct {
		Records []struct{ Action, About, Detail string }
	}
	decode(t, w.want(t, http.StatusOK, "GET", "/api/audit?action=user-deleted", root.token, nil), &log)
	if len(log.Records) != 1 || log.Records[0].About != "ann" || log.Records[0].Detail != "files to root" {
		t.Errorf("the audit log says %+v", log.Records)
	}
}

func decode(t *testing.T, a answer, into any) {
	t.Helper()
	if err := json.Unmarshal(a.body, into); err != nil {
		t.Fatalf("%v in %.200s", err, a.body)
	}
}

func message(t *testing.T, a answer) string {
	t.Helper()
	var e struct{ Error struct{ Message string } }
	decode(t, a, &e)
	return e.Error.Message
}
