package api

import (
	"html/template"
	"net/http"
	"strings"

	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
)

// downloadV1 checks in the order that version 1 has: form, token, existence.
func (a *api) downloadV1(q *call) error {
	v := q.r.URL.Query()
	folder, err := vfs.ParsePath(v.Get("path"))
	if err != nil {
		return err
	}
	name, err := vfs.CleanName(v.Get("name"))
	if err != nil {
		return err
	}
	token, err := a.tokenV1(q, "auth")
	if err != nil {
		return err
	}
	if token == "" {
		return badV1("auth: the token is missing")
	}
	if err := a.admitV1(q, token); err != nil {
		return err
	}
	e, err := q.fs.LookupV1(q.ctx(), q.who, append(folder, name))
	if err != nil {
		return err
	}
	if e.IsFolder() {
		return cloud.ErrNotFound
	}
	if err := policy.Check(q.who, policy.ReadContent, &e); err != nil {
		return err
	}
	if isCrawler(q.r) {
		return a.preview(q, e)
	}
	return a.sendFile(q, e, false)
}

func (a *api) bulkDownloadV1(q *call) error {
	path, err := vfs.ParsePath(q.r.URL.Query().Get("path"))
	if err != nil {
		return err
	}
	token, err := a.tokenV1(q, "auth")
	if err != nil {
		return err
	}
	if token == "" {
		return cloud.ErrUnauthenticated
	}
	if err := a.admitV1(q, token); err != nil {
		return err
	}
	folder, err := q.fs.LookupV1(q.ctx(), q.who, path)
	if err != nil {
		return err
	}
	if !folder.IsFolder() {
		return cloud.ErrNotFound
	}
	return a.sendFolder(q, folder, "bundle.zip", nil, func() error { return nil })
}

// openLink finds the file of a signed link, and makes q its holder.
func (a *api) openLink(q *call) (err error) {
	if err := a.admitV1(q, ""); err != nil {
		return err
	}
	q.entry, q.who, err = q.fs.OpenLink(q.ctx(), q.r.URL.Query().Get("q"))
	if err != nil {
		return err
	}
	return policy.Check(q.who, policy.ReadContent, &q.entry)
}

func (a *api) signedDownloadV1(q *call) error {
	h := q.w.Header()
	h.Set("X-Robots-Tag", "noindex, nofollow")
	if err := a.openLink(q); err != nil {
		return err
	}
	if isCrawler(q.r) {
		return a.preview(q, q.entry)
	}
	// Who has the link may embed the file where he likes.
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	return a.sendFile(q, q.entry, false)
}

func (a *api) signedMetadataV1(q *call) error {
	q.w.Header().Set("X-Robots-Tag", "noindex, nofollow")
	if err := a.openLink(q); err != nil {
		return err
	}
	folder, err := a.folderV1(q, q.entry)
	if err != nil {
		return err
	}
	return answerV1(q, map[string]any{"name": vfs.StandIn(q.entry), "path": folder, "size": q.entry.Size})
}

// folderV1 is the path of an entry's folder, in names that version 1 bears. It
// hides nothing: who holds a link to a file was shown where it lies.
func (a *api) folderV1(q *call, e cloud.Entry) (string, error) {
	if e.Parent == cloud.Root {
		return "/", nil
	}
	path, err := q.fs.Store.Path(q.ctx(), e.Parent)
	if err != nil {
		return "", err
	}
	return vfs.JoinPath(vfs.NamesV1(path)), nil
}

// crawlers make previews of links that people post.
var crawlers = []string{"discordbot", "twitterbot", "whatsapp", "telegrambot", "slackbot", "facebookexternalhit", "linkedinbot"}

func isCrawler(r *http.Request) bool {
	agent := strings.ToLower(r.UserAgent())
	for _, name := range crawlers {
		if strings.Contains(agent, name) {
			return true
		}
	}
	return false
}

// previewPage names no address: the one it is under holds a token or a link.
var previewPage = template.Must(template.New("preview").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{{.Name}}</title>
<meta property="og:type" content="website">
<meta property="og:title" content="{{.Name}}">
{{with .URL}}<meta property="og:url" content="{{.}}">
{{end}}<meta property="og:description" content="{{.Name}} in {{.Folder}}, {{.Size}} bytes">
</head>
<body>{{.Name}}</body>
</html>
`))

func (a *api) preview(q *call, e cloud.Entry) error {
	folder, err := a.folderV1(q, e)
	if err != nil {
		return err
	}
	h := q.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	if q.r.Method == http.MethodHead {
		return nil
	}
	err = previewPage.Execute(q.w, map[string]any{"Name": e.Name, "Folder": folder, "Size": e.Size, "URL": a.PublicURL})
	if err != nil {
		a.log.DebugContext(q.ctx(), "preview not sent", "req", requestID(q.r), "err", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}
