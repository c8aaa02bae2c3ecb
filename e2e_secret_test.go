package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"discordcloud/pkg/packet"
)

// Whatever people do, right or wrong, and however much is logged: no password,
// token, ticket, key, signed address and no name of a file gets into the logs
// or into an answer that has no business with it.
func TestEndToEnd_noSecretsInLogs(t *testing.T) {
	s := startServe(t, map[string]string{"DEBUG_LOGGING": "1", "OVERWRITE_LOGGING_FUNCTIONS": "1"})
	c := setUp(t, s.base)
	c.servicesReady(3)
	c.connect()
	ctx := withTimeout(t, time.Minute)
	c.book(ctx, 2)
	canaries := map[string]string{
		"the password": adminPassword, "the session token": c.token, "the service password": s.setting(t, "SERVICE_PASSWORD"),
		"the master key": s.setting(t, "MESSAGE_ENCRYPTION_KEY"), "the private key": s.setting(t, "PRIVATE_KEY")[40:80],
		"a wrong password": "canary-wrong-password", "a file's name": "canaryfile", "a folder's name": "canaryfolder",
		"the bot's token": strings.Split(s.token, ".")[2], "a signed address": "hm=",
		"an unknown user's name": "canaryuser",
	}
	status := func(method, path string, want int) string {
		t.Helper()
		r, err := c.request(ctx, method, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Body.Close() }()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		if r.StatusCode != want {
			t.Errorf("%s %s: status %d, want %d: %s", method, strings.SplitN(path, "?", 2)[0], r.StatusCode, want, body)
		}
		return string(body)
	}
	data := content{seed: 1, size: 300_000}
	if _, err := c.upload(ctx, "/canaryfolder", "canaryfile.txt", data, packet.ConflictFail); err != nil {
		t.Fatal(err)
	}
	for _, conflict := range []string{packet.ConflictFail, packet.ConflictRename, packet.ConflictOverwrite} {
		_, err := c.upload(ctx, "/canaryfolder", "canaryfile.txt", data, conflict)
		if (err == nil) != (conflict != packet.ConflictFail) {
			t.Errorf("upload onto a taken name, %s: %v", conflict, err)
		}
	}
	if _, err := c.upload(ctx, "/canaryfolder/canaryfile.txt", "canaryfile below a file", data, packet.ConflictFail); err == nil {
		t.Error("a file below a file was accepted")
	}
	if _, err := c.begin(ctx, "/", "canaryfile\u202e", 5, ""); err == nil {
		t.Error("a bidi control character was accepted")
	}
	if err := c.do(ctx, "POST", "/api/login", map[string]any{"username": adminName, "password": "canary-wrong-password"}, nil); err == nil {
		t.Error("a wrong password was accepted")
	}
	e, err := c.lookup(ctx, "/canaryfolder/canaryfile.txt")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.do(ctx, "PATCH", fmt.Sprintf("/api/entries/%d", e.ID), map[string]any{"name": "canaryfile (1).txt"}, nil); err == nil {
		t.Error("a taken name was accepted")
	}
	var ticket struct{ Ticket string }
	c.must(c.do(ctx, "POST", "/api/tickets", map[string]any{"purpose": "download", "entry": e.ID}, &ticket))
	canaries["a ticket"] = ticket.Ticket
	status("GET", fmt.Sprintf("/api/entries/%d/content?ticket=%s", e.ID, url.QueryEscape(ticket.Ticket)), 200)
	// Version 1 puts them in addresses, and not in headers.
	c.token = ""
	var v1 struct{ Token string }
	c.must(c.do(ctx, "GET", "/login?username="+adminName+"&password="+url.QueryEscape(adminPassword), nil, &v1))
	canaries["a token of version 1"] = v1.Token
	status("GET", "/login?username=canaryuser&password=canary-wrong-password", 403)
	status("GET", "/token-status?token="+v1.Token, 200)
	status("GET", "/token-status?token=canary.canary.canary", 401)
	status("GET", "/download?path=%2Fcanaryfolder&name=canaryfile.txt&auth="+v1.Token, 200)
	status("GET", "/download?path=%2Fcanaryfolder&name=canaryfile-missing.txt&auth="+v1.Token, 404)
	status("GET", "/bulk-download?path=%2Fcanaryfolder&auth="+v1.Token, 200)
	if body := status("GET", "/login?username="+adminName+"&password=short", 400); strings.Contains(body, "short") {
		t.Errorf("the answer repeats the password: %s", body)
	}
	status("GET", "/update-password?username="+adminName+"&previousPassword=canary-wrong-password&newPassword=canary-new-password", 401)
	canaries["a new password"] = "canary-new-password"
	reply, err := c.call(ctx, packet.SignedDownloadRequest{FileID: e.ID})
	if err != nil {
		t.Fatal(err)
	}
	payload := string(reply.(packet.SignedDownload).Payload)
	canaries["a signed link"] = payload
	status("GET", "/signed-download?q="+payload, 200)
	status("GET", "/signed-download?q="+payload[:len(payload)-3]+"AAA", 400)
	if r, err := http.Get(s.base + "/?type=client&key=" + v1.Token); err == nil {
		_ = r.Body.Close() // not an upgrade
	}
	c.token = v1.Token
	c.must(c.do(ctx, "POST", "/api/delete", map[string]any{"ids": []int64{e.ID}}, nil))
	c.verify(ctx, "/canaryfolder/canaryfile (1).txt", data)

	s.stop()
	logs := s.output()
	if !strings.Contains(logs, "level=DEBUG") {
		t.Fatal("nothing was logged in detail")
	}
	for what, secret := range canaries {
		if secret == "" {
			t.Fatalf("%s is empty", what)
		}
		for _, line := range strings.Split(logs, "\n") {
			if strings.Contains(line, secret) {
				t.Errorf("%s is in the logs: %s", what, strings.ReplaceAll(line, secret, "<"+what+">"))
				break
			}
		}
	}
}
