package dav

import (
	"net/http"
	"net/url"
	"strings"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// condition is an If header (RFC 4918 §10.4): true if one of its lists is.
type condition []ifList

// ifList is true if all its terms are, for the resource it is tagged with.
type ifList struct {
	resource string // "" is the one that the request is about
	terms    []ifTerm
}

type ifTerm struct {
	not   bool
	token string // state token, or
	etag  string // entity tag with its quotes
}

const (
	maxIf      = 16 << 10
	maxIfLists = 64
)

var errIf = refusef(http.StatusBadRequest, "the If header cannot be read")

func parseIf(lines []string) (condition, error) {
	text := strings.TrimSpace(strings.Join(lines, " "))
	if len(text) > maxIf {
		return nil, errIf
	}
	var all condition
	resource := ""
	for text != "" {
		var ok bool
		switch text[0] {
		case '<':
			if resource, text, ok = cut(text, '>'); !ok || resource == "" {
				return nil, errIf
			}
			if !strings.HasPrefix(strings.TrimSpace(text), "(") {
				return nil, errIf
			}
		case '(':
			list := ifList{resource: resource}
			if list.terms, text, ok = parseTerms(text[1:]); !ok || len(all) == maxIfLists {
				return nil, errIf
			}
			all = append(all, list)
		default:
			return nil, errIf
		}
		text = strings.TrimSpace(text)
	}
	if len(lines) > 0 && len(all) == 0 {
		return nil, errIf
	}
	return all, nil
}

// cut gives what is between the first character and end.
func cut(text string, end byte) (inside, rest string, ok bool) {
	i := strings.IndexByte(text, end)
	if i < 0 {
		return "", "", false
	}
	return text[1:i], text[i+1:], true
}

func parseTerms(text string) (terms []ifTerm, rest string, ok bool) {
	for {
		text = strings.TrimSpace(text)
		var t ifTerm
		if len(text) > 3 && strings.EqualFold(text[:3], "not") {
			t.not = true
			text = strings.TrimSpace(text[3:])
		}
		if text == "" {
			return nil, "", false
		}
		switch text[0] {
		case ')':
			return terms, text[1:], len(terms) > 0 && !t.not
		case '<':
			if t.token, text, ok = cut(text, '>'); !ok {
				return nil, "", false
			}
		case '[':
			if t.etag, text, ok = cut(text, ']'); !ok || !strings.HasSuffix(t.etag, `"`) {
				return nil, "", false
			}
		default:
			return nil, "", false
		}
		terms = append(terms, t)
	}
}

// tokens are all that the header submits, wherever they stand in it.
func (c condition) tokens() map[string]bool {
	all := map[string]bool{}
	for _, list := range c {
		for _, t := range list.terms {
			if t.token != "" {
				all[t.token] = true
			}
		}
	}
	return all
}

// evaluate is 412 if the If header does not hold.
func (q *request) evaluate() error {
	if len(q.cond) == 0 {
		return nil
	}
	states := map[string]*state{}
	for _, list := range q.cond {
		s := states[list.resource]
		if s == nil {
			var err error
			if s, err = q.stateOf(list.resource); err != nil {
				return err
			}
			states[list.resource] = s
		}
		if s.holds(list.terms) {
			return nil
		}
	}
	return refusef(http.StatusPreconditionFailed, "the If header does not hold")
}

// state is what terms are held against.
type state struct {
	etag  string // "" for none
	locks []meta.Lock
}

func (s *state) holds(terms []ifTerm) bool {
	for _, t := range terms {
		ok := false
		if t.etag != "" {
			ok = s.etag != "" && t.etag == s.etag // weak ones are never the same
		} else {
			for _, l := range s.locks {
				ok = ok || l.Token == t.token
			}
		}
		if ok == t.not {
			return false
		}
	}
	return true
}

// stateOf is the state of a resource that the If header names. One that is not
// ours, or not there, has none but the locks above it.
func (q *request) stateOf(resource string) (*state, error) {
	names := q.names
	if resource != "" {
		u, err := url.Parse(resource)
		if err != nil || u.Host != "" && !q.ownHost(u.Host) {
			return &state{}, nil
		}
		if names, err = q.parsePath(u.Path); err != nil {
			return &state{}, nil
		}
	}
	p, err := q.find(names)
	if err != nil {
		return nil, err
	}
	s := &state{}
	switch {
	case p.exists:
		s.etag = etag(p.entry)
		s.locks, err = q.FS.Store.LocksOver(q.ctx(), p.entry.ID, q.Now())
	case p.within:
		s.locks, err = q.FS.Store.LocksOver(q.ctx(), p.parent.ID, q.Now())
	}
	return s, err
}

// etag is the strong tag of a file's content, "" for a folder.
func etag(e cloud.Entry) string {
	if e.IsFolder() {
		return ""
	}
	return `"` + e.Object.String() + `"`
}

// matches evaluates If-Match and If-None-Match of a request that changes
// something: 412 if they do not hold.
func (q *request) matches(p place) error {
	tag := ""
	if p.exists {
		tag = etag(p.entry)
	}
	if lines := q.r.Header.Values("If-Match"); len(lines) > 0 && !anyTag(lines, tag, p.exists) {
		return refusef(http.StatusPreconditionFailed, "it is not what If-Match says")
	}
	if lines := q.r.Header.Values("If-None-Match"); len(lines) > 0 && anyTag(lines, tag, p.exists) {
		return refusef(http.StatusPreconditionFailed, "it is what If-None-Match says")
	}
	return nil
}

// anyTag tells whether one of the tags is that of what is there; "*" is that of
// anything.
func anyTag(lines []string, tag string, exists bool) bool {
	for _, line := range lines {
		for t := range strings.SplitSeq(line, ",") { // none of our tags has a comma
			t = strings.TrimSpace(t)
			if exists && (t == "*" || tag != "" && t == tag) {
				return true
			}
		}
	}
	return false
}
