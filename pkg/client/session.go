package client

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"discordcloud/pkg/cloud"
)

// Session is a sign-in that can be kept. Whoever has it has what the user has.
type Session struct {
	Server    string    `json:"server"` // its address, without a slash at the end
	User      string    `json:"user"`
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
}

// ServerAddress makes of what a person writes the address of a server: without a
// scheme it is https. Plain http, over which a password would be readable, is
// refused but for the machine itself, unless plain allows it.
func ServerAddress(text string, plain bool) (string, error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", cloud.UserErrorf(cloud.ErrInvalid, "%q is not the address of a server, such as https://cloud.example.org", text)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", cloud.UserErrorf(cloud.ErrInvalid, "the address of a server has no user, no query and no fragment")
	}
	if u.Scheme == "http" && !plain && !ownMachine(u.Hostname()) {
		return "", cloud.UserErrorf(cloud.ErrInvalid, "over plain http anybody on the way could read the password; use https")
	}
	return strings.ToLower(u.Scheme) + "://" + u.Host + strings.TrimRight(u.Path, "/"), nil
}

func ownMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

type signedIn struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
	User      struct{ Name string }
	Second    *struct {
		State   string
		Methods []string
	}
}

// SignIn makes a session. code is asked for a one-time code, or a recovery code,
// if the account has a second factor.
func SignIn(ctx context.Context, server, user, password string, code func() (string, error), o Options) (Session, error) {
	c := New(Session{Server: server}, o)
	defer c.Close()
	var signed signedIn
	if err := c.do(ctx, http.MethodPost, "/api/login", map[string]string{"username": user, "password": password}, &signed); err != nil {
		return Session{}, err
	}
	if s := signed.Second; s != nil {
		if !slices.Contains(s.Methods, "code") && !slices.Contains(s.Methods, "recovery_code") {
			return Session{}, cloud.UserErrorf(cloud.ErrDenied, "the account wants a passkey, which only the page can ask for")
		}
		text, err := code()
		if err != nil {
			return Session{}, err
		}
		if err := c.do(ctx, http.MethodPost, "/api/login/code", map[string]string{"state": s.State, "code": text}, &signed); err != nil {
			return Session{}, err
		}
	}
	if signed.Token == "" {
		return Session{}, cloud.UserErrorf(cloud.ErrInvalid, "%s does not answer as discord-cloud does", server)
	}
	return Session{Server: server, User: signed.User.Name, Token: signed.Token, ExpiresAt: signed.ExpiresAt}, nil
}

// SignOut ends the session on the server.
func (c *Client) SignOut(ctx context.Context) error {
	return c.do(ctx, http.MethodPost, "/api/logout", nil, nil)
}
