package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
)

type appPasswordRecord struct {
	ID        int64      `json:"id"`
	Name      string     `json:"name"`
	ReadOnly  bool       `json:"read_only"`
	Path      string     `json:"path"` // of the folder that it is confined to
	CreatedAt time.Time  `json:"created_at"`
	UsedAt    *time.Time `json:"used_at"` // to the minute; null if never
}

func (a *api) appPasswordRecord(ctx context.Context, p meta.AppPassword) (appPasswordRecord, error) {
	r := appPasswordRecord{ID: p.ID, Name: p.Name, ReadOnly: p.ReadOnly, CreatedAt: p.CreatedAt.UTC()}
	if !p.UsedAt.IsZero() {
		used := p.UsedAt.UTC().Truncate(time.Minute)
		r.UsedAt = &used
	}
	names, err := a.FS.PathOf(ctx, p.Entry)
	r.Path = vfs.JoinPath(names)
	return r, err
}

func (a *api) appPasswords(q *call) error {
	all, err := a.Auth.AppPasswords(q.ctx(), q.who)
	if err != nil {
		return err
	}
	records := make([]appPasswordRecord, 0, len(all))
	for _, p := range all {
		r, err := a.appPasswordRecord(q.ctx(), p)
		if errors.Is(err, cloud.ErrNotFound) {
			continue // it went with its folder a moment ago
		}
		if err != nil {
			return err
		}
		records = append(records, r)
	}
	return q.answer(map[string]any{"app_passwords": records})
}

func (a *api) makeAppPassword(q *call) error {
	var in struct {
		Name     string `json:"name"`
		ReadOnly bool   `json:"read_only"`
		Path     string `json:"path"` // "" is the whole tree
	}
	if err := q.decode(&in); err != nil {
		return err
	}
	p := auth.AppPassword{Name: in.Name, ReadOnly: in.ReadOnly}
	if in.Path != "" {
		folder, err := a.FS.Folder(q.ctx(), q.who, in.Path)
		if err != nil {
			return err
		}
		p.Entry = folder.ID
	}
	row, text, err := a.Auth.MakeAppPassword(q.ctx(), q.who, p)
	if err != nil {
		return err
	}
	r, err := a.appPasswordRecord(q.ctx(), row)
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"app_password": r, "password": text})
}

func (a *api) revokeAppPassword(q *call) error {
	id, err := strconv.ParseInt(q.r.PathValue("id"), 10, 64)
	if err != nil {
		return cloud.UserErrorf(cloud.ErrInvalid, "an id is a whole number")
	}
	if err := a.Auth.RevokeAppPassword(q.ctx(), q.who, id); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}
