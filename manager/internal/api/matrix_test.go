package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"discordcloud/manager/internal/api"
	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
)

// subject is what the requests of the matrix are about.
type subject struct {
	n            int // of the cell
	file, folder cloud.Entry
	other        cloud.Entry // a file that is not asked for
	link         string      // signed, to the file
	token        string      // of who asks; "" for none
	user         string      // somebody else, whose password is known
}

// samples has one request for each route that succeeds for whoever may make it.
var samples = map[string]func(s subject) (target string, body any, on *cloud.Entry){
	"GET /api/status": func(subject) (string, any, *cloud.Entry) { return "/api/status", nil, nil },
	"POST /api/setup": func(subject) (string, any, *cloud.Entry) { return "/api/setup", nil, nil }, // see below
	"POST /api/login": func(s subject) (string, any, *cloud.Entry) {
		return "/api/login", record{"username": s.user, "password": password}, nil
	},
	"POST /api/logout": func(subject) (string, any, *cloud.Entry) { return "/api/logout", nil, nil },
	"GET /api/me":      func(subject) (string, any, *cloud.Entry) { return "/api/me", nil, nil },
	"POST /api/password": func(subject) (string, any, *cloud.Entry) {
		return "/api/password", record{"previous": password, "next": password + "2"}, nil
	},
	"GET /api/sessions":         func(subject) (string, any, *cloud.Entry) { return "/api/sessions", nil, nil },
	"DELETE /api/sessions/{id}": func(s subject) (string, any, *cloud.Entry) { return "/api/sessions/", nil, nil }, // see below
	"GET /api/app-passwords":    func(subject) (string, any, *cloud.Entry) { return "/api/app-passwords", nil, nil },
	"POST /api/app-passwords": func(s subject) (string, any, *cloud.Entry) {
		return "/api/app-passwords", record{"name": fmt.Sprint(s.n)}, nil
	},
	"DELETE /api/app-passwords/{id}": func(s subject) (string, any, *cloud.Entry) { return "/api/app-passwords/", nil, nil }, // see below
	"GET /api/users":                 func(subject) (string, any, *cloud.Entry) { return "/api/users", nil, nil },
	"POST /api/users": func(s subject) (string, any, *cloud.Entry) {
		return "/api/users", record{"username": fmt.Sprintf("n%d", s.n), "password": password}, nil
	},
	"GET /api/services": func(subject) (string, any, *cloud.Entry) { return "/api/services", nil, nil },
	"GET /api/debug":    func(subject) (string, any, *cloud.Entry) { return "/api/debug", nil, nil },
	"POST /api/tickets": func(s subject) (string, any, *cloud.Entry) {
		return "/api/tickets", record{"purpose": "download", "entry": s.file.ID}, &s.file
	},
	"GET /api/lookup": func(s subject) (string, any, *cloud.Entry) {
		return "/api/lookup?path=/" + s.file.Name, nil, &s.file
	},
	"GET /api/entries/{id}": func(s subject) (string, any, *cloud.Entry) { return target(s.file.ID, ""), nil, &s.file },
	"PATCH /api/entries/{id}": func(s subject) (string, any, *cloud.Entry) {
		return target(s.file.ID, ""), record{"name": "new" + s.file.Name}, &s.file
	},
	"GET /api/entries/{id}/children": func(s subject) (string, any, *cloud.Entry) {
		return target(s.folder.ID, "/children"), nil, &s.folder
	},
	"GET /api/entries/{id}/sizes": func(s subject) (string, any, *cloud.Entry) {
		return target(s.folder.ID, "/sizes"), nil, &s.folder
	},
	"POST /api/entries/{id}/folders": func(s subject) (string, any, *cloud.Entry) {
		return target(s.folder.ID, "/folders"), record{"name": "new"}, &s.folder
	},
	"GET /api/entries/{id}/content": func(s subject) (string, any, *cloud.Entry) {
		return target(s.file.ID, "/content"), nil, &s.file
	},
	"GET /api/entries/{id}/archive": func(s subject) (string, any, *cloud.Entry) {
		return target(s.folder.ID, "/archive"), nil, &s.folder
	},
	"GET /api/entries/{id}/thumbnail": func(s subject) (string, any, *cloud.Entry) {
		return target(s.file.ID, "/thumbnail"), nil, &s.file
	},
	"GET /api/thumbnail-jobs/{job}/source": func(s subject) (string, any, *cloud.Entry) {
		return "/api/thumbnail-jobs/3c1c0b1e-6a3c-4b52-8d0e-0d5a2c3f9b12/source", nil, &s.file
	},
	"GET /api/search": func(subject) (string, any, *cloud.Entry) { return "/api/search" + query("q", "a"), nil, nil },
	"GET /api/entries/{id}/storage": func(s subject) (string, any, *cloud.Entry) {
		return target(s.file.ID, "/storage"), nil, &s.file
	},
	"PUT /api/entries/{id}/star": func(s subject) (string, any, *cloud.Entry) {
		return target(s.file.ID, "/star"), nil, &s.file
	},
	"DELETE /api/entries/{id}/star": func(s subject) (string, any, *cloud.Entry) {
		return target(s.file.ID, "/star"), nil, &s.file
	},
	"GET /api/stars": func(subject) (string, any, *cloud.Entry) { return "/api/stars", nil, nil },
	"POST /api/copy": func(s subject) (string, any, *cloud.Entry) {
		return "/api/copy", record{"ids": []cloud.EntryID{s.file.ID}, "parent": 0, "on_conflict": "rename"}, &s.file
	},
	"POST /api/move": func(s subject) (string, any, *cloud.Entry) {
		return "/api/move", record{"ids": []cloud.EntryID{s.file.ID}, "parent": 0, "on_conflict": "rename"}, &s.file
	},
	"POST /api/delete": func(s subject) (string, any, *cloud.Entry) {
		return "/api/delete", record{"ids": []cloud.EntryID{s.file.ID}}, &s.file
	},

	"GET /health": func(subject) (string, any, *cloud.Entry) { return "/health", nil, nil },
	"GET /login": func(s subject) (string, any, *cloud.Entry) {
		return "/login" + query("username", s.user, "password", password), nil, nil
	},
	"GET /register": func(s subject) (string, any, *cloud.Entry) {
		return "/register" + query("username", fmt.Sprintf("v%d", s.n), "password", password, "adminToken", s.token), nil, nil
	},
	"GET /update-password": func(s subject) (string, any, *cloud.Entry) {
		return "/update-password" + query("username", s.user, "previousPassword", password, "newPassword", password+"2"), nil, nil
	},
	"GET /token-status": func(s subject) (string, any, *cloud.Entry) {
		return "/token-status" + query("token", s.token), nil, nil
	},
	"GET /download": func(s subject) (string, any, *cloud.Entry) {
		return "/download" + query("path", "/", "name", s.file.Name, "auth", s.token), nil, &s.file
	},
	"GET /bulk-download": func(s subject) (string, any, *cloud.Entry) {
		return "/bulk-download" + query("path", "/"+s.folder.Name, "auth", s.token), nil, &s.folder
	},
	"GET /signed-download":          func(s subject) (string, any, *cloud.Entry) { return "/signed-download?", nil, &s.file },
	"GET /signed-download-metadata": func(s subject) (string, any, *cloud.Entry) { return "/signed-download-metadata?", nil, &s.file },
}

const servicePassword = "the password of the services"

// TestMatrix asks every route as everybody, and holds what happens against the
// policy's table.
func TestMatrix(t *testing.T) {
	w := open(t, func(o *api.Options) { o.TrustedProxies = []string{"127.0.0.1"} })
	w.person(t, "root")
	for _, name := range []string{"owner", "reader", "other"} {
		w.person(t, name)
	}
	routes := api.Routes()
	if len(routes) != len(samples) {
		t.Errorf("%d routes, %d samples", len(routes), len(samples))
	}
	shared := w.subject(t, 0)
	kinds := []string{
		"app password", "nobody", "owner", "reader", "other", "root", "ticket", "foreign ticket", "expired ticket", "service password", "signed link",
	}
	n := 0
	for _, rt := range routes {
		sample := samples[rt.Method+" "+rt.Path]
		if sample == nil {
			t.Errorf("no sample for %s %s", rt.Method, rt.Path)
			continue
		}
		for _, kind := range kinds {
			n++
			t.Run(rt.Method+" "+rt.Path+" as "+kind, func(t *testing.T) {
				s := shared
				if s.n = n; rt.Method != http.MethodGet || rt.Path == "/update-password" {
					s = w.subject(t, n) // it may go, or change
				}
				w.cell(t, rt, kind, sample, s)
			})
		}
	}
}

// subject makes everything private, owned by "owner" and shared with "reader".
func (w *world) subject(t *testing.T, n int) subject {
	t.Helper()
	owner, reader := w.signIn(t, "owner"), w.signIn(t, "reader")
	s := subject{n: n, user: w.person(t, fmt.Sprintf("user%d", n)).Name}
	s.file = w.Put(t, owner.Principal, fmt.Sprintf("/file%d.txt", n), []byte("x"), false)
	s.folder = w.Folder(t, owner.Principal, fmt.Sprintf("/folder%d", n))
	s.other = w.Put(t, owner.Principal, fmt.Sprintf("/other%d.txt", n), []byte("x"), false)
	if _, err := w.FS.SetPublic(t.Context(), owner.Principal, s.folder.ID, false); err != nil {
		t.Fatal(err)
	}
	for _, id := range []cloud.EntryID{s.file.ID, s.folder.ID} {
		if err := w.FS.Share(t.Context(), owner.Principal, id, vfs.Grantee{User: reader.User}, false); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (w *world) cell(t *testing.T, rt api.RouteFacts, kind string, sample func(subject) (string, any, *cloud.Entry), s subject) {
	if rt.Path == "/register" {
		w.pass(2 * time.Hour) // refusals are counted
	}
	owner, reader := w.signIn(t, "owner"), w.signIn(t, "reader")

	// Who asks, and with what in hand.
	var who policy.Principal // as the policy should be asked
	var ticket string
	issue := func(id cloud.EntryID) {
		tk, err := w.auth.IssueTicket(owner.Principal, auth.Download, id)
		if err != nil {
			t.Fatal(err)
		}
		ticket = tk.Text
		if rt.Ticket {
			who = owner.Principal
			who.Role, who.Entry = policy.TicketHolder, id
		}
	}
	_, _, on := sample(s)
	switch kind {
	case "owner":
		who, s.token = owner.Principal, owner.token
	case "reader":
		who, s.token = reader.Principal, reader.token
	case "other", "root":
		p := w.signIn(t, kind)
		who, s.token = p.Principal, p.token
	case "ticket", "expired ticket":
		if on != nil {
			issue(on.ID)
		} else {
			issue(s.file.ID)
		}
		if kind == "expired ticket" {
			w.pass(2 * time.Minute)
			who = policy.Principal{}
		}
	case "app password":
		// As a bearer it is nothing, and WebDAV alone takes it as what it is.
		_, text, err := w.auth.MakeAppPassword(t.Context(), owner.Principal, auth.AppPassword{})
		if err != nil {
			t.Fatal(err)
		}
		s.token = text
	case "foreign ticket":
		issue(s.other.ID)
	case "service password":
		s.token = servicePassword
	case "signed link":
		var err error
		if s.link, err = w.FS.SignLink(t.Context(), owner.Principal, s.file); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(rt.Path, "/signed-download") {
			who = policy.Principal{Role: policy.LinkHolder, Entry: s.file.ID}
		}
	}
	if strings.HasPrefix(rt.Path, "/signed-download") && kind != "signed link" {
		who = policy.Principal{} // no token opens these
	}

	if strings.HasPrefix(rt.Path, "/api/thumbnail-jobs/") {
		who = policy.Principal{} // the ticket of a running job alone opens these
	}

	at, body, on := sample(s)
	expect := http.StatusOK
	switch rt.Path {
	case "/api/entries/{id}/thumbnail": // which it has not
		expect = http.StatusNotFound
	case "/api/setup": // everybody may, while there are no users
		body, expect = record{"username": "late", "password": password}, http.StatusForbidden
	case "/api/sessions/{id}":
		at += w.spareSession(t, who)
	case "/api/app-passwords/{id}":
		at += w.spareAppPassword(t, who)
	}
	sep := "?"
	if strings.Contains(at, "?") {
		sep = "&"
	}
	if ticket != "" {
		at += sep + "ticket=" + ticket
	} else if s.link != "" {
		at += sep + "q=" + s.link
	}
	header := s.token
	if rt.V1 {
		header = ""
	}
	// From an address of its own: what is refused counts by address.
	got := w.ask(t, rt.Method, at, header, body, "X-Forwarded-For", fmt.Sprintf("10.0.%d.%d", s.n/256, s.n%256))

	err := w.decide(t, who, rt.Do, on)
	if err != nil {
		expect = 0
	}
	switch {
	case (expect == http.StatusForbidden || err == nil && expect == http.StatusNotFound) && got.status == expect:
	case err == nil && expect == http.StatusOK && got.status/100 == 2:
	case err != nil && refused(rt, err, got.status):
	default:
		t.Errorf("status %d, and the policy says %v: %.200s", got.status, err, got.body)
	}
	if err != nil && len(got.body) > 0 && strings.Contains(string(got.body), s.file.Name) {
		t.Errorf("the refusal names the file: %s", got.body)
	}
}

// decide asks the policy, with the entry as who sees it.
func (w *world) decide(t *testing.T, who policy.Principal, do policy.Action, on *cloud.Entry) error {
	if on == nil {
		return policy.Check(who, do, nil)
	}
	e, err := w.Store.Entry(t.Context(), on.ID, who.User)
	if err != nil {
		// It was deleted, renamed or moved by who may: as it was before.
		e = *on
	}
	return policy.Check(who, do, &e)
}

// refused tells whether a status is the one for a refusal. Version 1 calls
// missing forms of proof malformed.
func refused(rt api.RouteFacts, err error, status int) bool {
	switch cloud.CodeOf(err) {
	case "unauthenticated":
		return status == 401 || rt.V1 && (status == 400 || status == 403)
	case "denied":
		return status == 403
	case "not_found":
		return status == 404
	}
	return false
}

func (w *world) spareAppPassword(t *testing.T, who policy.Principal) string {
	if who.Role != policy.User {
		return "1"
	}
	p, _, err := w.auth.MakeAppPassword(t.Context(), who, auth.AppPassword{Name: "spare"})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(p.ID)
}

func (w *world) spareSession(t *testing.T, who policy.Principal) string {
	if who.Role != policy.User {
		return "none"
	}
	return w.signIn(t, who.Name).Session
}

func TestRegister_UnknownAction(t *testing.T) {
	for _, c := range []struct {
		do    policy.Action
		finds bool
		ok    bool
	}{
		{policy.SeeStatus, false, true}, {policy.ReadContent, true, true},
		{"make-coffee", false, false}, {"", true, false}, {policy.ReadContent, false, false}, {policy.SeeStatus, true, false},
	} {
		func() {
			defer func() {
				if v := recover(); (v == nil) != c.ok {
					t.Errorf("action %q, finder %t: %v", c.do, c.finds, v)
				}
			}()
			api.Register(c.do, c.finds)
		}()
	}
}
