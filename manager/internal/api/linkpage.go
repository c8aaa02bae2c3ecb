package api

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// isLinkAsset tells what a link gives beside its page.
func isLinkAsset(path string) bool {
	rest, ok := strings.CutPrefix(path, "/s/")
	_, last, more := strings.Cut(rest, "/")
	return ok && more && (last == "download" || last == "preview")
}

// isLinkPage tells the address of a link.
func isLinkPage(path string) bool {
	rest, ok := strings.CutPrefix(path, "/s/")
	return ok && rest != "" && !strings.Contains(rest, "/")
}

// pageTitle is what the head of the page has in place of which links say more.
var pageTitle = []byte("<title>discord-cloud</title>")

// linkHead is what chats show of a link. Those with a password say nothing.
var linkHead = template.Must(template.New("head").Parse(`<title>{{.Title}} – discord-cloud</title>
    <meta property="og:type" content="website" />
    <meta property="og:site_name" content="discord-cloud" />
    <meta property="og:title" content="{{.Title}}" />
    <meta property="og:description" content="{{.Text}}" />
{{- with .Image}}
    <meta property="og:image" content="{{.}}" />
    <meta name="twitter:card" content="summary_large_image" />
{{- end}}`))

type headFacts struct{ Title, Text, Image string }

// serveLinkPage answers the page for a link, with what may be said of it in its
// head. The page itself asks for the rest.
func (a *api) serveLinkPage(w http.ResponseWriter, r *http.Request) {
	label(w, "/s/{link}")
	h := w.Header()
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Cache-Control", "no-store")
	q := &call{w: w, r: r, fs: a.FS}
	if err := a.rates.take(a.rateKey(q)); err != nil {
		retryAfter(w, err)
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	facts, status, err := a.linkFacts(q, strings.TrimPrefix(r.URL.Path, "/s/"))
	if err != nil {
		a.writeError(w, r, err)
		return
	}
	if a.page.index == nil {
		a.page.serveIndex(w, r)
		return
	}
	var head bytes.Buffer
	if err := linkHead.Execute(&head, facts); err != nil {
		a.writeError(w, r, fmt.Errorf("head of a link: %w", err))
		return
	}
	page := bytes.Replace(a.page.index, pageTitle, head.Bytes(), 1)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", fmt.Sprint(len(page)))
	w.WriteHeader(status)
	if r.Method == http.MethodGet {
		_, _ = w.Write(page) // the receiver is gone
	}
}

func (a *api) linkFacts(q *call, text string) (headFacts, int, error) {
	l, who, err := a.Auth.PeekLink(q.ctx(), text)
	var e cloud.Entry
	if err == nil {
		e, err = a.linkStands(q.ctx(), who)
	}
	switch {
	case errors.Is(err, cloud.ErrUnauthenticated):
		return headFacts{Title: "Protected link", Text: "This link has a password."}, http.StatusOK, nil
	case errors.Is(err, cloud.ErrNotFound):
		return headFacts{Title: "No such link", Text: "This link does not exist, or it has ended."}, http.StatusNotFound, nil
	case err != nil:
		return headFacts{}, 0, err
	}
	f := headFacts{Title: e.Name, Text: "A folder to look at"}
	switch {
	case l.Mode == meta.LinkUpload:
		f.Text = "Send files to this folder"
	case !e.IsFolder():
		f.Text = humanSize(e.Size)
	}
	if e.HasThumbnail && policy.Check(who, policy.SeePreview, &e) == nil {
		f.Image = a.base(q.r) + q.r.URL.Path + "/preview?size=1024"
	}
	return f, http.StatusOK, nil
}

// base is scheme and host under which the request came, as far as we know.
func (a *api) base(r *http.Request) string {
	if a.PublicURL != "" {
		return strings.TrimRight(a.PublicURL, "/")
	}
	if a.secureTransport(r) {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

func humanSize(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d bytes", n)
	}
	size, unit := float64(n)/1000, 0
	for size >= 999.5 && unit < 4 {
		size, unit = size/1000, unit+1
	}
	return fmt.Sprintf("%.3g %cB", size, "kMGTP"[unit])
}
