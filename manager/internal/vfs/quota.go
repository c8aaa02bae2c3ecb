package vfs

import (
	"context"
	"fmt"

	"discordcloud/manager/internal/audit"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// Quota tells what who has stored, and may store.
func (f *FS) Quota(ctx context.Context, who policy.Principal) (meta.Quota, error) {
	return f.Store.Quota(ctx, who.User)
}

// Room is how many bytes who may still store, false if nothing bounds it.
func (f *FS) Room(ctx context.Context, who policy.Principal) (room int64, bounded bool, err error) {
	for _, id := range []cloud.UserID{who.User, meta.Everybody} {
		q, err := f.Store.Quota(ctx, id)
		if err != nil {
			return 0, false, err
		}
		if q.MostBytes == 0 {
			continue
		}
		left := max(0, q.MostBytes-q.Bytes-q.ReservedBytes)
		if !bounded || left < room {
			room, bounded = left, true
		}
	}
	return room, bounded, nil
}

// Quotas lists users by name with what they have stored and may store, for
// administrators.
func (f *FS) Quotas(ctx context.Context, who policy.Principal, after string, limit int) ([]meta.UserQuota, error) {
	if err := policy.Check(who, policy.ManageQuotas, nil); err != nil {
		return nil, err
	}
	return f.Store.Quotas(ctx, "", after, limit)
}

// QuotaOf gives the quota of a user, of meta.Everybody or of meta.Others, for
// administrators.
func (f *FS) QuotaOf(ctx context.Context, who policy.Principal, user cloud.UserID) (meta.Quota, error) {
	if err := policy.Check(who, policy.ManageQuotas, nil); err != nil {
		return meta.Quota{}, err
	}
	return f.Store.Quota(ctx, user)
}

// SetQuota bounds what a user, meta.Everybody together, or each of meta.Others
// may store; 0 is no bound.
func (f *FS) SetQuota(ctx context.Context, who policy.Principal, user cloud.UserID, mostBytes, mostFiles int64) (meta.Quota, error) {
	if err := policy.Check(who, policy.ManageQuotas, nil); err != nil {
		return meta.Quota{}, err
	}
	if err := f.Store.SetQuota(ctx, user, mostBytes, mostFiles); err != nil {
		return meta.Quota{}, err
	}
	f.noteQuota(ctx, who, user, fmt.Sprintf("%d bytes, %d files", mostBytes, mostFiles))
	return f.Store.Quota(ctx, user)
}

// ClearQuota takes a user's own bounds away: those of meta.Others hold again.
func (f *FS) ClearQuota(ctx context.Context, who policy.Principal, user cloud.UserID) (meta.Quota, error) {
	if err := policy.Check(who, policy.ManageQuotas, nil); err != nil {
		return meta.Quota{}, err
	}
	if err := f.Store.ClearQuota(ctx, user); err != nil {
		return meta.Quota{}, err
	}
	f.noteQuota(ctx, who, user, "as others")
	return f.Store.Quota(ctx, user)
}

func (f *FS) noteQuota(ctx context.Context, who policy.Principal, user cloud.UserID, detail string) {
	r := audit.By(who, audit.QuotaSet)
	switch user {
	case meta.Everybody:
		r.About = "everybody"
	case meta.Others:
		r.About = "others"
	default:
		r.About = f.nameOf(ctx, Grantee{User: user})
	}
	r.Detail = detail
	f.Audit.Add(ctx, r)
}

// Usage tells where the files of a user are, by folder of the top and by type: of
// who himself, or of anybody for administrators. Folders that who does not see
// have no name.
func (f *FS) Usage(ctx context.Context, who policy.Principal, user cloud.UserID) ([]meta.Usage, error) {
	do := policy.SeeSpace
	if user != who.User {
		do = policy.ManageQuotas
	}
	if err := policy.Check(who, do, nil); err != nil {
		return nil, err
	}
	if _, err := f.Store.User(ctx, user); err != nil {
		return nil, fmt.Errorf("usage: %w", err)
	}
	all, err := f.Store.Usage(ctx, user)
	if err != nil {
		return nil, err
	}
	hidden := map[cloud.EntryID]bool{}
	for i, u := range all {
		if _, known := hidden[u.Folder]; !known && u.Folder > cloud.Root {
			_, err := f.Entry(ctx, who, u.Folder)
			hidden[u.Folder] = err != nil
		}
		if hidden[u.Folder] {
			all[i].Name = ""
		}
	}
	return all, nil
}
