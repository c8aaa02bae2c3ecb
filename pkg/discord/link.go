package discord

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"discordcloud/pkg/cloud"
)

// RefreshMost is the number of links that one call of Discord's refreshes.
const RefreshMost = 50

// Refresh asks for links that are good for a while, of links that need be
// neither good nor signed: see Bare. The answer is keyed by the link that was
// asked for. One that Discord does not answer for is not in it. More than
// RefreshMost take several calls.
func (c *Client) Refresh(ctx context.Context, links []string) (map[string]string, error) {
	fresh := make(map[string]string, len(links))
	for part := range slices.Chunk(links, RefreshMost) {
		var got struct {
			Refreshed []struct {
				Original  string `json:"original"`
				Refreshed string `json:"refreshed"`
			} `json:"refreshed_urls"`
		}
		err := c.call(ctx, request{
			method: http.MethodPost, route: routeRefresh, path: "attachments/refresh-urls",
			json: struct {
				URLs []string `json:"attachment_urls"`
			}{part},
		}, &got)
		if err != nil {
			return nil, fmt.Errorf("refresh %d links: %w", len(part), err)
		}
		for _, r := range got.Refreshed {
			if r.Refreshed != "" && slices.Contains(part, r.Original) {
				fresh[r.Original] = r.Refreshed
			}
		}
	}
	return fresh, nil
}

// Bare is the link to a path on the CDN, without a signature: what Refresh can
// start from. ErrInvalid unless path is as PathOf gives it.
func (c *Client) Bare(path string) (string, error) {
	u, err := url.Parse(path)
	if err != nil || u.Host != "" || u.Scheme != "" || u.RawQuery != "" || u.Fragment != "" ||
		!strings.HasPrefix(path, "/") || strings.Contains(path, "..") {
		return "", fmt.Errorf("%w: not the path of an attachment", cloud.ErrInvalid)
	}
	return strings.TrimSuffix(c.cdnBase.String(), "/") + path, nil
}

// PathOf is the part of a link that neither expires nor carries a signature:
// its path below the CDN's base.
func (c *Client) PathOf(link string) (string, error) {
	u, err := c.cdnLink(link)
	if err != nil {
		return "", err
	}
	return strings.TrimPrefix(u.EscapedPath(), c.cdnBase.EscapedPath()), nil
}

// Expiry is when a signed link ends to be good: its parameter ex, in Unix
// seconds, in hexadecimal. False if it does not say.
func Expiry(link string) (time.Time, bool) {
	u, err := url.Parse(link)
	if err != nil {
		return time.Time{}, false
	}
	ex, err := strconv.ParseInt(u.Query().Get("ex"), 16, 64)
	if err != nil || ex <= 0 {
		return time.Time{}, false
	}
	return time.Unix(ex, 0), true
}

// cdnLink parses a link and holds it to the hosts that are allowed. Its errors
// do not quote it.
func (c *Client) cdnLink(link string) (*url.URL, error) {
	u, err := url.Parse(link)
	if err != nil {
		return nil, fmt.Errorf("%w: a link that is no address", cloud.ErrUnavailable)
	}
	plain := u.Scheme == "http" && c.cdnBase.Scheme == "http"
	if u.Scheme != "https" && !plain || u.User != nil || !slices.Contains(c.cdnOK, u.Host) {
		return nil, fmt.Errorf("%w: a link to %s://%s, which is not among the allowed hosts", cloud.ErrUnavailable, u.Scheme, u.Host)
	}
	return u, nil
}
