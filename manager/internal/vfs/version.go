package vfs

import (
	"context"
	"fmt"

	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// Who may read a file may read what it was before; who may write it may bring
// that back; only its owner makes the file forget it.

// fileFor gives a file that who may do this with.
func (f *FS) fileFor(ctx context.Context, who policy.Principal, id cloud.EntryID, do policy.Action) (cloud.Entry, error) {
	e, err := f.EntryFor(ctx, who, id, do)
	if err == nil && e.IsFolder() {
		err = fmt.Errorf("entry %d: %w", id, cloud.UserErrorf(cloud.ErrInvalid, "a folder has no versions"))
	}
	return e, err
}

// Versions gives the former contents of a file, the newest first.
func (f *FS) Versions(ctx context.Context, who policy.Principal, id cloud.EntryID) ([]meta.Version, error) {
	if _, err := f.fileFor(ctx, who, id, policy.SeeVersions); err != nil {
		return nil, err
	}
	all, err := f.Store.ListVersions(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("versions: %w", err)
	}
	return all, nil
}

// OpenVersion opens a former content of a file: its Entry is the file as it
// would be with it.
func (f *FS) OpenVersion(ctx context.Context, who policy.Principal, id cloud.EntryID, version meta.VersionID) (*Content, error) {
	e, err := f.fileFor(ctx, who, id, policy.ReadVersion)
	if err != nil {
		return nil, err
	}
	v, err := f.Store.Version(ctx, id, version)
	if err != nil {
		return nil, fmt.Errorf("open version: %w", err)
	}
	e.Object, e.Size, e.Type, e.Hash, e.SHA256, e.CRC32 = v.Object, v.Size, v.Type, v.Hash, cloud.Sum{}, 0
	e.ModifiedAt, e.UpdatedAt, e.HasThumbnail = v.ModifiedAt, v.ModifiedAt, false
	return f.content(e), nil
}

// RestoreVersion makes a former content the present one, which becomes a former
// one.
func (f *FS) RestoreVersion(ctx context.Context, who policy.Principal, id cloud.EntryID, version meta.VersionID) (cloud.Entry, error) {
	if _, err := f.fileFor(ctx, who, id, policy.RestoreVersion); err != nil {
		return cloud.Entry{}, err
	}
	e, err := f.Store.RestoreVersion(meta.ForViewer(ctx, who.User), id, version, func(e cloud.Entry) error {
		return policy.Check(who, policy.RestoreVersion, &e)
	})
	if err != nil {
		return cloud.Entry{}, fmt.Errorf("restore version: %w", err)
	}
	f.publish(ctx, event.Change{Action: event.Changed, Entry: e})
	return e, nil
}

// DeleteVersion removes a former content for good.
func (f *FS) DeleteVersion(ctx context.Context, who policy.Principal, id cloud.EntryID, version meta.VersionID) error {
	if _, err := f.fileFor(ctx, who, id, policy.DeleteVersion); err != nil {
		return err
	}
	err := f.Store.DeleteVersion(meta.ForViewer(ctx, who.User), id, version, func(e cloud.Entry) error {
		return policy.Check(who, policy.DeleteVersion, &e)
	})
	if err != nil {
		return fmt.Errorf("delete version: %w", err)
	}
	return nil
}
