package api_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"discordcloud/manager/internal/api"
	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/gc"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
)

// subject is what the requests of the matrix are about.
type subject struct {
	n            int    // of the cell
	dir          string // of file and folder: "", or a folder that is shared
	file, folder cloud.Entry
	other        cloud.Entry // a file that is not asked for
	group        cloud.GroupID
	someone      cloud.UserID
	link         string // signed, to the file
	share        string // text of a share link, to what is asked for
	spare        int64  // id of a share link of who asks
	version      meta.VersionID
	token        string // of who asks; "" for none
	user         string // somebody else, whose password is known
	secret       string // text of an invitation, or of a link that works once, of somebody else
	invitation   int64
	identity     string // of who asks
}

// samples has one request for each route that succeeds for whoever may make it.
var samples = map[string]func(s subject) (target string, body any, on *cloud.Entry){
	"GET /api/status": func(subject) (string, any, *cloud.Entry) { return "/api/status", nil, nil },
	"POST /api/setup": func(subject) (string, any, *cloud.Entry) { return "/api/setup", nil, nil }, // see below
	"POST /api/login": func(s subject) (string, any, *cloud.Entry) {
		return "/api/login", record{"username": s.user, "password": password}, nil
	},
	"POST /api/login/code":                   func(subject) (string, any, *cloud.Entry) { return "/api/login/code", nil, nil }, // see factorBody
	"POST /api/login/passkey":                func(subject) (string, any, *cloud.Entry) { return "/api/login/passkey", record{}, nil },
	"POST /api/login/passkey/answer":         func(subject) (string, any, *cloud.Entry) { return "/api/login/passkey/answer", nil, nil }, // see factorBody
	"GET /api/factors":                       func(subject) (string, any, *cloud.Entry) { return "/api/factors", nil, nil },
	"POST /api/factors/totp":                 func(subject) (string, any, *cloud.Entry) { return "/api/factors/totp", nil, nil },
	"POST /api/factors/totp/confirm":         func(subject) (string, any, *cloud.Entry) { return "/api/factors/totp/confirm", nil, nil },
	"POST /api/factors/totp/remove":          func(subject) (string, any, *cloud.Entry) { return "/api/factors/totp/remove", nil, nil },
	"POST /api/factors/passkeys":             func(subject) (string, any, *cloud.Entry) { return "/api/factors/passkeys", nil, nil },
	"POST /api/factors/passkeys/answer":      func(subject) (string, any, *cloud.Entry) { return "/api/factors/passkeys/answer", nil, nil },
	"PATCH /api/factors/passkeys/{id}":       func(subject) (string, any, *cloud.Entry) { return "/api/factors/passkeys/1", nil, nil },
	"POST /api/factors/passkeys/{id}/remove": func(subject) (string, any, *cloud.Entry) { return "/api/factors/passkeys/1/remove", nil, nil },
	"POST /api/factors/recovery-codes":       func(subject) (string, any, *cloud.Entry) { return "/api/factors/recovery-codes", nil, nil },
	"POST /api/users/{id}/reset-factors":     func(s subject) (string, any, *cloud.Entry) { return account(s, "/reset-factors"), nil, nil },
	"POST /api/logout":                       func(subject) (string, any, *cloud.Entry) { return "/api/logout", nil, nil },
	"GET /api/me":                            func(subject) (string, any, *cloud.Entry) { return "/api/me", nil, nil },
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
	"PATCH /api/users/{id}": func(s subject) (string, any, *cloud.Entry) {
		return account(s, ""), record{"disabled": true}, nil
	},
	"POST /api/users/{id}/delete":   func(s subject) (string, any, *cloud.Entry) { return account(s, "/delete"), record{}, nil },
	"POST /api/users/{id}/password": func(s subject) (string, any, *cloud.Entry) { return account(s, "/password"), nil, nil },
	"POST /api/users/{id}/reset-link": func(s subject) (string, any, *cloud.Entry) {
		return account(s, "/reset-link"), nil, nil
	},
	"GET /api/invitations": func(subject) (string, any, *cloud.Entry) { return "/api/invitations", nil, nil },
	"POST /api/invitations": func(s subject) (string, any, *cloud.Entry) {
		return "/api/invitations", record{"name": fmt.Sprint(s.n)}, nil
	},
	"DELETE /api/invitations/{id}": func(s subject) (string, any, *cloud.Entry) {
		return fmt.Sprint("/api/invitations/", s.invitation), nil, nil
	},
	"POST /api/invitation": func(s subject) (string, any, *cloud.Entry) {
		return "/api/invitation", record{"token": s.secret}, nil
	},
	"POST /api/invitation/accept": func(s subject) (string, any, *cloud.Entry) {
		return "/api/invitation/accept", record{"token": s.secret, "username": fmt.Sprint("i", s.n), "password": password}, nil
	},
	"POST /api/reset": func(s subject) (string, any, *cloud.Entry) { return "/api/reset", record{"token": s.secret}, nil },
	"POST /api/reset/password": func(s subject) (string, any, *cloud.Entry) {
		return "/api/reset/password", record{"token": s.secret, "password": password + "2"}, nil
	},
	"POST /api/reset/mail": func(s subject) (string, any, *cloud.Entry) { return "/api/reset/mail", record{"of": s.user}, nil },
	"GET /api/address":     func(subject) (string, any, *cloud.Entry) { return "/api/address", nil, nil },
	"PUT /api/address": func(subject) (string, any, *cloud.Entry) {
		return "/api/address", record{"address": "", "password": password + "2"}, nil // which POST /api/password has set
	},
	"POST /api/address/confirm": func(s subject) (string, any, *cloud.Entry) {
		return "/api/address/confirm", record{"token": s.secret}, nil
	},
	"POST /api/openid":       func(subject) (string, any, *cloud.Entry) { return "/api/openid", nil, nil },
	"GET /api/openid/return": func(subject) (string, any, *cloud.Entry) { return "/api/openid/return?state=1&code=2", nil, nil },
	"POST /api/openid/arrive": func(subject) (string, any, *cloud.Entry) {
		return "/api/openid/arrive", record{"state": "1", "code": "2", "key": "3"}, nil
	},
	"GET /api/identities": func(subject) (string, any, *cloud.Entry) { return "/api/identities", nil, nil },
	"POST /api/identities": func(subject) (string, any, *cloud.Entry) {
		return "/api/identities", record{"password": password + "2"}, nil
	},
	"POST /api/identities/link": func(subject) (string, any, *cloud.Entry) {
		return "/api/identities/link", record{"state": "1", "code": "2", "key": "3"}, nil
	},
	"DELETE /api/identities/{id}": func(s subject) (string, any, *cloud.Entry) { return "/api/identities/" + s.identity, nil, nil },
	"GET /api/admin/mail":         func(subject) (string, any, *cloud.Entry) { return "/api/admin/mail", nil, nil },
	"GET /api/accounts":           func(subject) (string, any, *cloud.Entry) { return "/api/accounts", nil, nil },
	"GET /api/groups":             func(subject) (string, any, *cloud.Entry) { return "/api/groups", nil, nil },
	"POST /api/groups": func(s subject) (string, any, *cloud.Entry) {
		return "/api/groups", record{"name": fmt.Sprint("made ", s.n)}, nil
	},
	"PATCH /api/groups/{id}": func(s subject) (string, any, *cloud.Entry) {
		return group(s, ""), record{"name": fmt.Sprint("renamed ", s.n)}, nil
	},
	"DELETE /api/groups/{id}":      func(s subject) (string, any, *cloud.Entry) { return group(s, ""), nil, nil },
	"GET /api/groups/{id}/members": func(s subject) (string, any, *cloud.Entry) { return group(s, "/members"), nil, nil },
	"PUT /api/groups/{id}/members/{user}": func(s subject) (string, any, *cloud.Entry) {
		return group(s, fmt.Sprint("/members/", s.someone)), nil, nil
	},
	"DELETE /api/groups/{id}/members/{user}": func(s subject) (string, any, *cloud.Entry) {
		return group(s, fmt.Sprint("/members/", s.someone)), nil, nil
	},
	"GET /api/quotas": func(subject) (string, any, *cloud.Entry) { return "/api/quotas", nil, nil },
	"PUT /api/quotas/{user}": func(s subject) (string, any, *cloud.Entry) {
		return fmt.Sprint("/api/quotas/", s.someone), record{"bytes": 1000, "files": 0}, nil
	},
	"DELETE /api/quotas/{user}": func(s subject) (string, any, *cloud.Entry) {
		return fmt.Sprint("/api/quotas/", s.someone), nil, nil
	},
	"GET /api/quotas/{user}/usage": func(s subject) (string, any, *cloud.Entry) {
		return fmt.Sprintf("/api/quotas/%d/usage", s.someone), nil, nil
	},
	"GET /api/usage":        func(subject) (string, any, *cloud.Entry) { return "/api/usage", nil, nil },
	"GET /api/audit":        func(subject) (string, any, *cloud.Entry) { return "/api/audit", nil, nil },
	"GET /api/audit/verify": func(subject) (string, any, *cloud.Entry) { return "/api/audit/verify", nil, nil },
	"GET /api/audit/export": func(subject) (string, any, *cloud.Entry) { return "/api/audit/export?format=csv", nil, nil },
	"GET /api/services":     func(subject) (string, any, *cloud.Entry) { return "/api/services", nil, nil },
	"GET /api/debug":        func(subject) (string, any, *cloud.Entry) { return "/api/debug", nil, nil },
	"POST /api/tickets": func(s subject) (string, any, *cloud.Entry) {
		return "/api/tickets", record{"purpose": "download", "entry": s.file.ID}, &s.file
	},
	"GET /api/lookup": func(s subject) (string, any, *cloud.Entry) {
		return "/api/lookup?path=" + s.dir + "/" + s.file.Name, nil, &s.file
	},
	"GET /api/entries/{id}": func(s subject) (string, any, *cloud.Entry) { return target(s.file.ID, ""), nil, &s.file },
	"PATCH /api/entries/{id}": func(s subject) (string, any, *cloud.Entry) {
		return target(s.file.ID, ""), record{"name": "new" + s.file.Name}, &s.file
	},
	"GET /api/entries/{id}/children": func(s subject) (string, any, *cloud.Entry) {
		return target(s.folder.ID, "/children"), nil, &s.folder
	},
	"GET /api/entries/{id}/activity": func(s subject) (string, any, *cloud.Entry) {
		return target(s.folder.ID, "/activity?deep=1"), nil, &s.folder
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
	"GET /api/entries/{id}/shares": func(s subject) (string, any, *cloud.Entry) {
		return target(s.file.ID, "/shares"), nil, &s.file
	},
	"PUT /api/entries/{id}/shares/{kind}/{of}": func(s subject) (string, any, *cloud.Entry) {
		return target(s.file.ID, fmt.Sprint("/shares/groups/", s.group)), record{"can_write": true}, &s.file
	},
	"DELETE /api/entries/{id}/shares/{kind}/{of}": func(s subject) (string, any, *cloud.Entry) {
		return target(s.file.ID, fmt.Sprint("/shares/users/", s.someone)), nil, &s.file
	},
	"POST /api/entries/{id}/transfer": func(s subject) (string, any, *cloud.Entry) {
		return target(s.file.ID, "/transfer"), record{"user": s.someone, "keep": true}, &s.file
	},
	"GET /api/shared-with-me": func(subject) (string, any, *cloud.Entry) { return "/api/shared-with-me", nil, nil },
	"GET /api/shared-by-me":   func(subject) (string, any, *cloud.Entry) { return "/api/shared-by-me", nil, nil },
	"GET /api/search":         func(subject) (string, any, *cloud.Entry) { return "/api/search" + query("q", "a"), nil, nil },
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

	"GET /api/entries/{id}/versions": func(s subject) (string, any, *cloud.Entry) { return target(s.file.ID, "/versions"), nil, &s.file },
	"GET /api/entries/{id}/versions/{version}/content": func(s subject) (string, any, *cloud.Entry) {
		return target(s.file.ID, fmt.Sprintf("/versions/%d/content", s.version)), nil, &s.file
	},
	"POST /api/entries/{id}/versions/{version}/restore": func(s subject) (string, any, *cloud.Entry) {
		return target(s.file.ID, fmt.Sprintf("/versions/%d/restore", s.version)), nil, &s.file
	},
	"DELETE /api/entries/{id}/versions/{version}": func(s subject) (string, any, *cloud.Entry) {
		return target(s.file.ID, fmt.Sprintf("/versions/%d", s.version)), nil, &s.file
	},
	"GET /api/trash":          func(subject) (string, any, *cloud.Entry) { return "/api/trash", nil, nil },
	"POST /api/trash/restore": func(subject) (string, any, *cloud.Entry) { return "/api/trash/restore", nil, nil }, // see below
	"POST /api/trash/purge":   func(subject) (string, any, *cloud.Entry) { return "/api/trash/purge", nil, nil },   // see below
	"POST /api/trash/empty":   func(subject) (string, any, *cloud.Entry) { return "/api/trash/empty", nil, nil },
	"GET /api/admin/services": func(subject) (string, any, *cloud.Entry) { return "/api/admin/services", nil, nil },
	"POST /api/admin/services": func(subject) (string, any, *cloud.Entry) {
		return "/api/admin/services", record{"type": "upload", "name": "x", "standing": "open"}, nil
	},
	"GET /api/admin/system": func(subject) (string, any, *cloud.Entry) { return "/api/admin/system", nil, nil },
	"GET /api/admin/jobs":   func(subject) (string, any, *cloud.Entry) { return "/api/admin/jobs", nil, nil },
	"POST /api/admin/jobs/{job}": func(subject) (string, any, *cloud.Entry) {
		return "/api/admin/jobs/collector", record{"paused": false}, nil
	},
	"GET /api/admin/storage":   func(subject) (string, any, *cloud.Entry) { return "/api/admin/storage", nil, nil },
	"GET /api/admin/deletions": func(subject) (string, any, *cloud.Entry) { return "/api/admin/deletions", nil, nil },
	"GET /api/admin/collect":   func(subject) (string, any, *cloud.Entry) { return "/api/admin/collect", nil, nil },
	"GET /api/space":           func(subject) (string, any, *cloud.Entry) { return "/api/space", nil, nil },

	"GET /api/links": func(subject) (string, any, *cloud.Entry) { return "/api/links", nil, nil },
	"PATCH /api/links/{id}": func(s subject) (string, any, *cloud.Entry) {
		return fmt.Sprint("/api/links/", s.spare), record{"mode": "view", "name": "new"}, nil
	},
	"DELETE /api/links/{id}": func(s subject) (string, any, *cloud.Entry) { return fmt.Sprint("/api/links/", s.spare), nil, nil },
	"GET /api/links/{id}/uses": func(s subject) (string, any, *cloud.Entry) {
		return fmt.Sprint("/api/links/", s.spare, "/uses"), nil, nil
	},
	"GET /api/entries/{id}/links": func(s subject) (string, any, *cloud.Entry) {
		return target(s.file.ID, "/links"), nil, &s.file
	},
	"POST /api/entries/{id}/links": func(s subject) (string, any, *cloud.Entry) {
		return target(s.file.ID, "/links"), record{"mode": "view"}, &s.file
	},
	"POST /api/link": func(s subject) (string, any, *cloud.Entry) { return "/api/link", record{"link": s.share}, nil },
	"GET /api/link":  func(s subject) (string, any, *cloud.Entry) { return "/api/link", nil, nil },
	"POST /api/link/files": func(s subject) (string, any, *cloud.Entry) {
		return "/api/link/files?name=sent.txt", record{"any": "body"}, &s.folder
	},
	"GET /s/{link}/download": func(s subject) (string, any, *cloud.Entry) { return "/s/" + s.share + "/download", nil, &s.file },
	"GET /s/{link}/preview":  func(s subject) (string, any, *cloud.Entry) { return "/s/" + s.share + "/preview", nil, &s.file },

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
		return "/download" + query("path", s.dir+"/", "name", s.file.Name, "auth", s.token), nil, &s.file
	},
	"GET /bulk-download": func(s subject) (string, any, *cloud.Entry) {
		return "/bulk-download" + query("path", s.dir+"/"+s.folder.Name, "auth", s.token), nil, &s.folder
	},
	"GET /signed-download":          func(s subject) (string, any, *cloud.Entry) { return "/signed-download?", nil, &s.file },
	"GET /signed-download-metadata": func(s subject) (string, any, *cloud.Entry) { return "/signed-download-metadata?", nil, &s.file },
}

func account(s subject, path string) string { return fmt.Sprintf("/api/users/%d%s", s.someone, path) }

func group(s subject, path string) string { return fmt.Sprintf("/api/groups/%d%s", s.group, path) }

// heirs are those who get at the subject by a folder above it, and what they may.
var heirs = map[string]policy.Can{"heir": policy.ReadOnly, "deputy": policy.ReadWrite, "member": policy.ReadWrite}

const servicePassword = "the password of the services"

// TestMatrix asks every route as everybody, and holds what happens against the
// policy's table.
func TestMatrix(t *testing.T) {
	collector := &gc.Collector{Now: time.Now}
	w := open(t, func(o *api.Options) {
		o.TrustedProxies, o.Collector, o.PublicURL = []string{"127.0.0.1"}, collector, site.Origin
	})
	w.Store.SetRetention(meta.Retention{Trash: time.Hour, Versions: 3, VersionAge: time.Hour})
	collector.Store = w.Store
	w.person(t, "root")
	for _, name := range []string{"owner", "reader", "other", "heir", "deputy", "member"} {
		w.person(t, name)
	}
	routes := api.Routes()
	if len(routes) != len(samples) {
		t.Errorf("%d routes, %d samples", len(routes), len(samples))
	}
	shared, inherited := w.subject(t, 0, false), w.subject(t, 1<<20, true)
	kinds := []string{
		"app password", "nobody", "owner", "reader", "heir", "deputy", "member", "other", "root", "ticket", "foreign ticket", "expired ticket", "service password", "signed link",
		"link", "expired link", "link without its password", "link to send files", "link for downloads",
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
				if heirs[kind] != "" {
					s = inherited
				}
				if s.n = n; rt.Method != http.MethodGet || rt.Path == "/update-password" {
					s = w.subject(t, n, heirs[kind] != "") // it may go, or change
				}
				w.cell(t, rt, kind, sample, s)
			})
		}
	}
}

// subject makes everything private, owned by "owner". It is shared with "reader",
// or it is inherited: it lies in a private folder that is shared with the heirs,
// with "member" by a group that he is in.
func (w *world) subject(t *testing.T, n int, inherited bool) subject {
	t.Helper()
	owner, root := w.signIn(t, "owner"), w.signIn(t, "root")
	someone := w.person(t, fmt.Sprintf("user%d", n))
	s := subject{n: n, user: someone.Name, someone: someone.User}
	club, err := w.auth.CreateGroup(t.Context(), root.Principal, fmt.Sprint("group ", n))
	if err != nil {
		t.Fatal(err)
	}
	s.group = club.ID
	share := func(id cloud.EntryID, name string, with vfs.Grantee, canWrite bool) {
		t.Helper()
		if name != "" {
			with.User = w.signIn(t, name).User
		}
		if _, err := w.FS.Share(t.Context(), owner.Principal, id, with, canWrite); err != nil {
			t.Fatal(err)
		}
	}
	if inherited {
		s.dir = fmt.Sprint("/shared", n)
		parent := w.Folder(t, owner.Principal, s.dir)
		if _, err := w.FS.SetPublic(t.Context(), owner.Principal, parent.ID, false); err != nil {
			t.Fatal(err)
		}
		share(parent.ID, "heir", vfs.Grantee{}, false)
		share(parent.ID, "deputy", vfs.Grantee{}, true)
		share(parent.ID, "", vfs.Grantee{Group: club.ID}, true)
		if err := w.auth.SetMember(t.Context(), root.Principal, club.ID, w.signIn(t, "member").User, true); err != nil {
			t.Fatal(err)
		}
	}
	s.file = w.Put(t, owner.Principal, fmt.Sprintf("%s/file%d.txt", s.dir, n), []byte("x"), false)
	s.file = w.Put(t, owner.Principal, fmt.Sprintf("%s/file%d.txt", s.dir, n), []byte("xy"), false)
	former, err := w.Store.ListVersions(t.Context(), s.file.ID)
	if err != nil || len(former) != 1 {
		t.Fatalf("versions of the file: %v, %v", former, err)
	}
	s.version = former[0].ID
	s.folder = w.Folder(t, owner.Principal, fmt.Sprintf("%s/folder%d", s.dir, n))
	s.other = w.Put(t, owner.Principal, fmt.Sprintf("/other%d.txt", n), []byte("x"), false)
	if _, err := w.FS.SetPublic(t.Context(), owner.Principal, s.folder.ID, false); err != nil {
		t.Fatal(err)
	}
	share(s.file.ID, "", vfs.Grantee{User: someone.User}, false)
	if !inherited {
		share(s.file.ID, "reader", vfs.Grantee{}, false)
		share(s.folder.ID, "reader", vfs.Grantee{}, false)
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
		tk, err := w.auth.IssueTicket(t.Context(), owner.Principal, auth.Download, id)
		if errors.Is(err, cloud.ErrLimited) {
			w.pass(2 * time.Minute) // in which those of the cells before end
			tk, err = w.auth.IssueTicket(t.Context(), owner.Principal, auth.Download, id)
		}
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
	case "other", "root", "heir", "deputy", "member":
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
		p, text, err := w.auth.MakeAppPassword(t.Context(), owner.Principal, auth.AppPassword{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { // there may be so many only
			err := w.auth.RevokeAppPassword(context.WithoutCancel(t.Context()), owner.Principal, p.ID)
			if err != nil && !errors.Is(err, cloud.ErrNotFound) { // it went with the password
				t.Error(err)
			}
		}()
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
	if strings.Contains(kind, "link") && kind != "signed link" {
		who = w.visit(t, kind, rt, &s, on)
	} else if strings.HasPrefix(rt.Path, "/s/") || rt.Path == "/api/link" && rt.Method == http.MethodPost {
		s.share = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		if rt.Path != "/api/link" {
			who = policy.Principal{} // no token opens these
		}
	}
	if strings.HasPrefix(rt.Path, "/signed-download") && kind != "signed link" {
		who = policy.Principal{} // no token opens these
	}

	if strings.HasPrefix(rt.Path, "/api/thumbnail-jobs/") {
		who = policy.Principal{} // the ticket of a running job alone opens these
	}

	if strings.HasPrefix(rt.Path, "/api/links/") && who.Role == policy.User {
		l, err := w.auth.MakeLink(t.Context(), owner.Principal, s.file, auth.LinkWish{Mode: meta.LinkView})
		if kind != "owner" && kind != "root" {
			mine := w.Put(t, who, fmt.Sprintf("/of%d.txt", s.n), []byte("x"), false)
			l, err = w.auth.MakeLink(t.Context(), who, mine, auth.LinkWish{Mode: meta.LinkView})
		}
		if err != nil {
			t.Fatal(err)
		}
		s.spare = l.ID
	}
	w.prepare(t, rt, who, &s)
	at, body, on := sample(s)
	if want := heirs[kind]; want != "" && on != nil && who.Role == policy.User {
		e, err := w.Store.Entry(t.Context(), on.ID, who.User)
		if _, can := policy.Access(who.User, e); err != nil || can != want {
			t.Fatalf("%s can %s, %v; want %s", kind, can, err, want)
		}
	}
	expect := http.StatusOK
	switch rt.Path {
	case "/api/entries/{id}/thumbnail", "/s/{link}/preview": // which it has not
		expect = http.StatusNotFound
	case "/api/lookup":
		if who.Within != nil {
			at = "/api/lookup?path=/" // from the top of what the link opens
		}
	case "/api/setup": // everybody may, while there are no users
		body, expect = record{"username": "late", "password": password}, http.StatusForbidden
	case "/api/link":
		if rt.Method == http.MethodPost && kind != "link" && kind != "link to send files" && kind != "link for downloads" {
			expect = http.StatusNotFound // without a link that is open
			if kind == "link without its password" {
				expect = http.StatusUnauthorized
			}
		}
	case "/api/reset/mail", "/api/openid", "/api/openid/arrive", "/api/identities/link": // without mail, and without another provider
		expect = http.StatusNotFound
	case "/api/openid/return":
		expect = http.StatusSeeOther
	case "/api/identities":
		if rt.Method == http.MethodPost {
			expect = http.StatusNotFound
		}
	case "/api/sessions/{id}":
		at += w.spareSession(t, who)
	case "/api/app-passwords/{id}":
		at += w.spareAppPassword(t, who)
	case "/api/trash/restore", "/api/trash/purge": // of his own trash
		body = record{"ids": []cloud.EntryID{w.spareTrash(t, who, s.n)}}
	}
	if with, to := w.factorBody(t, rt, who, s); with != nil {
		body, at = with, to
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
	err := w.decide(t, who, rt.Do, on) // before anything changes
	// From an address of its own: what is refused counts by address.
	got := w.ask(t, rt.Method, at, header, body, "X-Forwarded-For", fmt.Sprintf("10.0.%d.%d", s.n/256, s.n%256))

	if err != nil {
		expect = 0
	}
	switch {
	case err == nil && (expect == http.StatusUnauthorized || expect == http.StatusSeeOther) && got.status == expect:
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
		t.Fatal(err)
	}
	return policy.Check(who, do, &e)
}

// refused tells whether a status is the one for a refusal. Version 1 calls
// missing forms of proof malformed.
func refused(rt api.RouteFacts, err error, status int) bool {
	switch cloud.CodeOf(err) {
	case "unauthenticated":
		if strings.HasPrefix(rt.Path, "/s/") && status == 404 {
			return true // there is no such link
		}
		return status == 401 || rt.V1 && (status == 400 || status == 403)
	case "denied":
		return status == 403
	case "not_found":
		return status == 404
	}
	return false
}

// visit makes a link to what is asked for, and opens it: the policy should be asked
// as who comes back.
func (w *world) visit(t *testing.T, kind string, rt api.RouteFacts, s *subject, on *cloud.Entry) policy.Principal {
	t.Helper()
	wish, to := auth.LinkWish{Mode: meta.LinkView}, s.file
	if on != nil && on.IsFolder() {
		to = s.folder
	}
	code := "the word"
	switch kind {
	case "link to send files":
		wish.Mode, to = meta.LinkUpload, s.folder
	case "link for downloads":
		wish.Mode = meta.LinkDownload
	case "expired link":
		wish.ExpiresAt = w.clock().Add(time.Minute)
	case "link without its password":
		wish.Password = &code
	}
	l, err := w.auth.MakeLink(t.Context(), w.signIn(t, "owner").Principal, to, wish)
	if err != nil {
		t.Fatal(err)
	}
	if s.share, err = w.auth.LinkText(l); err != nil {
		t.Fatal(err)
	}
	password := code
	if kind == "link without its password" {
		password = ""
	}
	o, err := w.auth.OpenLink(t.Context(), s.share, password, auth.Peer{})
	if kind == "link without its password" {
		if !errors.Is(err, cloud.ErrUnauthenticated) {
			t.Fatalf("opened without the password: %v", err)
		}
		return policy.Principal{}
	}
	if err != nil {
		t.Fatal(err)
	}
	s.token = o.Access
	if kind == "expired link" {
		w.pass(2 * time.Minute)
		return policy.Principal{}
	}
	if rt.V1 {
		return policy.Principal{} // which knows nothing of these
	}
	return o.Who
}

// prepare makes what a route about invitations, single links and identities is
// asked with.
func (w *world) prepare(t *testing.T, rt api.RouteFacts, who policy.Principal, s *subject) {
	t.Helper()
	var err error
	root := w.signIn(t, "root").Principal
	switch {
	case strings.HasPrefix(rt.Path, "/api/invitation"):
		var i meta.Invitation
		if i, s.secret, _, err = w.auth.Invite(t.Context(), root, auth.InvitationWish{}); err == nil {
			s.invitation = i.ID
		}
	case rt.Path == "/api/reset", rt.Path == "/api/reset/password":
		s.secret, _, err = w.auth.MakeResetLink(t.Context(), root, s.someone)
	case rt.Path == "/api/address/confirm":
		s.secret = fmt.Sprint("confirm", s.n)
		err = w.Store.CreateSingleLink(t.Context(), meta.SingleLink{
			User: s.someone, Purpose: meta.ForAddress, Address: fmt.Sprintf("user%d@example.org", s.n), ExpiresAt: w.clock().Add(time.Hour),
		}, sha256.Sum256([]byte(s.secret)))
	case rt.Path == "/api/identities/{id}":
		i := meta.Identity{Issuer: "https://id.example", Subject: fmt.Sprint(s.n), User: who.User}
		s.identity = auth.IdentityID(i)
		if who.Role == policy.User {
			err = w.Store.AddIdentity(t.Context(), i)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
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

// spareTrash is something in the trash of who.
func (w *world) spareTrash(t *testing.T, who policy.Principal, n int) cloud.EntryID {
	if who.Role != policy.User {
		return 1
	}
	e := w.Put(t, who, fmt.Sprintf("/trash%d.txt", n), []byte("x"), false)
	if _, err := w.FS.Delete(t.Context(), who, e.ID); err != nil {
		t.Fatal(err)
	}
	return e.ID
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
