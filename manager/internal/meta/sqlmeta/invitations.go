package sqlmeta

import (
	"context"
	"errors"
	"fmt"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

const invitationColumns = `i.id, i.name, i.address, i.made_by, i.most_bytes, i.most_files, i.uses, i.most_uses, i.created_at, i.expires_at`

func scanInvitation(row scanner) (i meta.Invitation, err error) {
	var created, expires int64
	err = row.Scan(&i.ID, &i.Name, &i.Address, &i.MadeBy, &i.MostBytes, &i.MostFiles, &i.Uses, &i.MostUses, &created, &expires)
	i.CreatedAt, i.ExpiresAt = fromStamp(created), fromStamp(expires)
	return i, err
}

// CreateInvitation implements meta.Invitations.
func (s *Store) CreateInvitation(ctx context.Context, i meta.Invitation, sum cloud.Sum) (meta.Invitation, error) {
	created := orStamp(i.CreatedAt, s.stamp())
	err := s.update(ctx, func(tx querier) error {
		if err := tx.QueryRowContext(ctx, `INSERT INTO invitations (sum, name, address, made_by, most_bytes, most_files, most_uses, created_at, expires_at)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) RETURNING id`, sum[:], i.Name, i.Address, i.MadeBy, i.MostBytes, i.MostFiles,
			i.MostUses, created, i.ExpiresAt.UnixMicro()).Scan(&i.ID); err != nil {
			return err
		}
		for _, g := range i.Groups {
			if err := exec(ctx, tx, `INSERT INTO invitation_groups (invitation_id, group_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING`, i.ID, g); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return meta.Invitation{}, fmt.Errorf("create invitation: %w", err)
	}
	i.CreatedAt, i.Uses = fromStamp(created), 0
	return i, nil
}

// InvitationOf implements meta.Invitations.
func (s *Store) InvitationOf(ctx context.Context, sum cloud.Sum) (i meta.Invitation, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		i, err = invitationOf(ctx, q, sum)
		return err
	})
	return i, err
}

func invitationOf(ctx context.Context, q querier, sum cloud.Sum) (meta.Invitation, error) {
	i, err := scanInvitation(q.QueryRowContext(ctx, `SELECT `+invitationColumns+` FROM invitations i WHERE i.sum = ?1`, sum[:]))
	if err != nil {
		return meta.Invitation{}, notFound(err, "invitation")
	}
	i.Groups, err = rows(ctx, q, scanID[cloud.GroupID], `SELECT group_id FROM invitation_groups WHERE invitation_id = ?1 ORDER BY group_id`, i.ID)
	return i, err
}

// Invitations implements meta.Invitations.
func (s *Store) Invitations(ctx context.Context) (all []meta.Invitation, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		all, err = rows(ctx, q, scanInvitation, `SELECT `+invitationColumns+` FROM invitations i ORDER BY i.id DESC`)
		if err != nil {
			return err
		}
		at := map[int64]int{}
		for n, i := range all {
			at[i.ID] = n
		}
		return each(ctx, q, func(row scanner) error {
			var id int64
			var group cloud.GroupID
			if err := row.Scan(&id, &group); err != nil {
				return err
			}
			all[at[id]].Groups = append(all[at[id]].Groups, group)
			return nil
		}, `SELECT invitation_id, group_id FROM invitation_groups ORDER BY invitation_id, group_id`)
	})
	return all, err
}

// DeleteInvitation implements meta.Invitations.
func (s *Store) DeleteInvitation(ctx context.Context, id int64) error {
	err := s.update(ctx, func(tx querier) error {
		return one(changed(ctx, tx, `DELETE FROM invitations WHERE id = ?1`, id))
	})
	if err != nil {
		return fmt.Errorf("delete invitation: %w", err)
	}
	return nil
}

// AcceptInvitation implements meta.Invitations.
func (s *Store) AcceptInvitation(ctx context.Context, sum cloud.Sum, at time.Time, name, password string) (u cloud.User, i meta.Invitation, err error) {
	if err := meta.CheckName(name); err != nil {
		return u, i, fmt.Errorf("accept invitation: %w", err)
	}
	err = s.update(ctx, func(tx querier) error {
		if err := one(changed(ctx, tx, `UPDATE invitations SET uses = uses + 1
			WHERE sum = ?1 AND expires_at > ?2 AND (most_uses = 0 OR uses < most_uses)`, sum[:], at.UnixMicro())); err != nil {
			return err
		}
		if i, err = invitationOf(ctx, tx, sum); err != nil {
			return err
		}
		if u, err = s.addUser(ctx, tx, name, password); err != nil {
			return err
		}
		if i.MostBytes > 0 || i.MostFiles > 0 {
			if err := exec(ctx, tx, `INSERT INTO space (user_id, most_bytes, most_files, own) VALUES (?1, ?2, ?3, TRUE)`, u.ID, i.MostBytes, i.MostFiles); err != nil {
				return err
			}
		}
		for _, g := range i.Groups {
			if err := exec(ctx, tx, `INSERT INTO group_members (group_id, user_id) VALUES (?1, ?2)`, g, u.ID); err != nil {
				return err
			}
		}
		return addAddress(ctx, tx, u.ID, i.Address)
	})
	if err != nil {
		return cloud.User{}, meta.Invitation{}, fmt.Errorf("accept invitation: %w", err)
	}
	return u, i, nil
}

// addUser makes an account that is no administrator's.
func (s *Store) addUser(ctx context.Context, tx querier, name, password string) (cloud.User, error) {
	now := s.stamp()
	u := cloud.User{Name: name, CreatedAt: fromStamp(now)}
	err := tx.QueryRowContext(ctx, `INSERT INTO users (name, name_key, password, administrator, created_at)
		VALUES (?1, ?2, ?3, FALSE, ?4) RETURNING id`, name, meta.FoldName(name), password, now).Scan(&u.ID)
	if errors.Is(s.classify(ctx, err), cloud.ErrExists) {
		err = cloud.UserErrorf(cloud.ErrExists, "the name %q is taken", name)
	}
	return u, err
}

// addAddress gives a new account an address that is nobody's yet.
func addAddress(ctx context.Context, tx querier, user cloud.UserID, address string) error {
	if address == "" {
		return nil
	}
	return exec(ctx, tx, `INSERT INTO addresses (user_id, address, address_key) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING`,
		user, address, meta.FoldName(address))
}
