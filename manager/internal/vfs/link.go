package vfs

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
)

// infoLink is what the key of signed links is derived for.
const infoLink = "discord-cloud/1 signed link"

// maxLink is the longest payload of a link, in characters.
const maxLink = 4096

// link is what a signed link says. It opens the file of that name in that folder
// while it has that content.
type link struct {
	Name   string         `json:"name"`
	Folder *cloud.EntryID `json:"folderId"` // null is the root
	Hash   string         `json:"hash"`
}

// SignLink makes the payload of a link by which anybody can read a file, until
// it is renamed, moved, deleted or gets another content: base64url, 12 bytes of
// nonce in front of what AES-GCM seals.
func (f *FS) SignLink(ctx context.Context, who policy.Principal, e cloud.Entry) (string, error) {
	if err := policy.Check(who, policy.SignLink, &e); err != nil {
		return "", fmt.Errorf("sign link to %d: %w", e.ID, err)
	}
	if e.IsFolder() || e.Hash.IsZero() {
		return "", fmt.Errorf("sign link to %d: %w", e.ID, cloud.UserErrorf(cloud.ErrInvalid, "there are links to files only"))
	}
	l := link{Name: e.Name, Hash: e.Hash.String()}
	if e.Parent != cloud.Root {
		l.Folder = &e.Parent
	}
	plain, err := json.Marshal(l)
	if err != nil {
		return "", fmt.Errorf("sign link to %d: %w", e.ID, err)
	}
	return base64.RawURLEncoding.EncodeToString(f.Ring.SealNote(infoLink, plain)), nil
}

// OpenLink gives the file that a link opens, and the principal that may read it.
// ErrInvalid if it is no link of ours, ErrNotFound if there is no such file any
// more, ErrDenied if it has another content now.
func (f *FS) OpenLink(ctx context.Context, payload string) (cloud.Entry, policy.Principal, error) {
	fail := func(err error) (cloud.Entry, policy.Principal, error) {
		return cloud.Entry{}, policy.Principal{}, fmt.Errorf("open link: %w", err)
	}
	l, err := openLink(f.Ring, payload)
	if err != nil {
		return fail(err)
	}
	folder := cloud.Root
	if l.Folder != nil {
		folder = *l.Folder
	}
	e, err := f.Store.Child(ctx, folder, l.Name, meta.AnyViewer)
	if err != nil {
		return fail(err)
	}
	if e.IsFolder() {
		return fail(cloud.ErrNotFound)
	}
	if e.Hash.IsZero() || e.Hash.String() != l.Hash {
		return fail(cloud.UserErrorf(cloud.ErrDenied, "the file has changed since this link was made"))
	}
	return e, policy.Principal{Role: policy.LinkHolder, Entry: e.ID}, nil
}

// openLink unseals a payload with each key of the ring.
func openLink(ring crypt.Ring, payload string) (link, error) {
	invalid := cloud.UserErrorf(cloud.ErrInvalid, "this is not a link of ours")
	if len(payload) > maxLink || strings.ContainsAny(payload, "\r\n") { // which the decoder would skip
		return link{}, invalid
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(payload)
	if err != nil {
		return link{}, errors.Join(invalid, err)
	}
	plain, err := ring.OpenNote(infoLink, sealed)
	if err != nil {
		return link{}, errors.Join(invalid, err)
	}
	var l link
	d := json.NewDecoder(bytes.NewReader(plain))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil || l.Name == "" || l.Hash == "" {
		return link{}, errors.Join(invalid, err)
	}
	return l, nil
}
