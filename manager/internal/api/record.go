package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// records writes entries as who sees them. It keeps the names of owners: a
// listing has few.
type records struct {
	a      *api
	who    policy.Principal
	owners map[cloud.UserID]*packet.Owner
}

func (a *api) records(q *call) *records {
	return &records{a: a, who: q.who, owners: map[cloud.UserID]*packet.Owner{}}
}

func (rs *records) entry(ctx context.Context, e cloud.Entry) (packet.Entry, error) {
	status, can := policy.Access(rs.who.User, e)
	preview := e.Preview
	if can == policy.Nothing || rs.who.NoPreviews {
		preview = ""
	}
	var owner *packet.Owner
	if rs.who.Within != nil { // by a link: who owns what is not for strangers
		status, can = policy.Shared, policy.ReadOnly
	} else {
		var err error
		if owner, err = rs.owner(ctx, e.Owner); err != nil {
			return packet.Entry{}, err
		}
	}
	return packet.Entry{
		ID: int64(e.ID), Parent: int64(e.Parent), Name: e.Name, Kind: string(e.Kind), Preview: preview,
		Size: e.Size, Type: e.Type, Hash: e.Hash.String(), SHA256: e.SHA256.String(), HasThumbnail: e.HasThumbnail,
		CreatedAt: stamp(e.CreatedAt), UpdatedAt: stamp(e.UpdatedAt), ModifiedAt: stamp(e.ModifiedAt),
		Owner: owner, Public: e.Public || e.Owner == 0, Access: string(status), Can: string(can),
	}, nil
}

func (rs *records) all(ctx context.Context, entries []cloud.Entry) ([]packet.Entry, error) {
	out := make([]packet.Entry, 0, len(entries))
	for _, e := range entries {
		record, err := rs.entry(ctx, e)
		if err != nil {
			return nil, err
		}
		out = append(out, record)
	}
	return out, nil
}

func (rs *records) owner(ctx context.Context, id cloud.UserID) (*packet.Owner, error) {
	if id == 0 {
		return nil, nil
	}
	if o, ok := rs.owners[id]; ok {
		return o, nil
	}
	u, err := rs.a.FS.Store.User(ctx, id)
	if err != nil && !errors.Is(err, cloud.ErrNotFound) {
		return nil, fmt.Errorf("owner %d: %w", id, err)
	}
	o := &packet.Owner{ID: int64(id), Name: u.Name}
	rs.owners[id] = o
	return o, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

type pathRecord struct {
	ID   cloud.EntryID `json:"id"`
	Name string        `json:"name"`
}

func pathRecords(path []cloud.Entry) []pathRecord {
	out := make([]pathRecord, 0, len(path))
	for _, e := range path {
		out = append(out, pathRecord{e.ID, e.Name})
	}
	return out
}
