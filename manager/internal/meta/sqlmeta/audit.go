package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

const selectAudit = `SELECT a.number, a.at, a.action, a.done, a.user_id, a.user_name, a.address, COALESCE(a.entry_id, 0), a.about, a.detail, a.sum
	FROM audit a WHERE `

// AppendAudit implements meta.Audit. The one row of audit_head is written first,
// so that two writers come one after the other in every database.
func (s *Store) AppendAudit(ctx context.Context, records ...meta.AuditRecord) error {
	const takeHead = `INSERT INTO audit_head (id, number, sum) VALUES (1, 0, ?1)
		ON CONFLICT (id) DO UPDATE SET number = audit_head.number RETURNING number, sum`
	none := make([]byte, 32)
	var last int64
	var sum cloud.Sum
	err := s.amend(ctx, func(tx querier) error {
		var head []byte
		if err := tx.QueryRowContext(ctx, takeHead, none).Scan(&last, &head); err != nil {
			return err
		}
		sum = cloud.Sum(head)
		for i, r := range records {
			r.Number = last + int64(i) + 1
			r.At = fromStamp(orStamp(r.At, s.stamp())) // as it is read again
			sum = r.Link(sum)
			if err := exec(ctx, tx, `INSERT INTO audit (number, at, action, done, user_id, user_name, address, entry_id, about, detail, sum)
				VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)`,
				r.Number, r.At.UnixMicro(), r.Action, r.Done, r.User, r.UserName, r.Address,
				sql.NullInt64{Int64: int64(r.Entry), Valid: r.Entry != 0}, r.About, r.Detail, sum[:]); err != nil {
				return err
			}
		}
		last += int64(len(records))
		return exec(ctx, tx, `UPDATE audit_head SET number = ?1, sum = ?2 WHERE id = 1`, last, sum[:])
	})
	if err != nil {
		return fmt.Errorf("append to the audit log: %w", err)
	}
	meta.Afterwards(ctx, func() { s.foresee(takeHead, []any{none}, last, sum[:]) })
	return nil
}

// AuditRecords implements meta.Audit.
func (s *Store) AuditRecords(ctx context.Context, q meta.AuditQuery) (all []meta.AuditRecord, err error) {
	if q.Limit < 1 {
		return nil, fmt.Errorf("audit log: %w query", cloud.ErrInvalid)
	}
	where, args := []string{`TRUE`}, []any{}
	and := func(condition string, arg any) {
		args = append(args, arg)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	if q.Before > 0 {
		and(`a.number < ?%d`, q.Before)
	}
	if q.User != 0 {
		and(`a.user_id = ?%d`, q.User)
	}
	if q.Action != "" {
		and(`a.action = ?%d`, q.Action)
	}
	if q.Entry != 0 {
		and(`a.entry_id = ?%d`, q.Entry)
	}
	if q.Text != "" {
		and(`LOWER(a.user_name || ' ' || a.address || ' ' || a.about || ' ' || a.detail) LIKE LOWER(?%d) ESCAPE '\'`, "%"+likeEscape.Replace(q.Text)+"%")
	}
	if q.Refused {
		where = append(where, `NOT a.done`)
	}
	if !q.Since.IsZero() {
		and(`a.at >= ?%d`, q.Since.UnixMicro())
	}
	if !q.Until.IsZero() {
		and(`a.at < ?%d`, q.Until.UnixMicro())
	}
	args = append(args, q.Limit)
	err = s.query(ctx, func(tx querier) error {
		all, err = rows(ctx, tx, scanAudit, selectAudit+strings.Join(where, ` AND `)+fmt.Sprintf(` ORDER BY a.number DESC LIMIT ?%d`, len(args)), args...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	return all, nil
}

// VerifyAudit implements meta.Audit.
func (s *Store) VerifyAudit(ctx context.Context) (state meta.AuditState, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		state = meta.AuditState{}
		err := each(ctx, q, func(row scanner) error {
			r, err := scanAudit(row)
			if err != nil || state.Fault != "" {
				return err
			}
			if want := r.Link(state.Sum); r.Number != state.Records+1 || r.Sum != want {
				state.Fault = fmt.Sprintf("record %d does not follow from those before it", r.Number)
				return nil
			}
			state.Records, state.Sum = r.Number, r.Sum
			return nil
		}, selectAudit+`TRUE ORDER BY a.number`)
		if err != nil {
			return err
		}
		var last int64
		var head []byte
		err = q.QueryRowContext(ctx, `SELECT number, sum FROM audit_head WHERE id = 1`).Scan(&last, &head)
		if errors.Is(err, sql.ErrNoRows) {
			last, head, err = 0, make([]byte, 32), nil
		}
		if err == nil && state.Fault == "" && (last != state.Records || cloud.Sum(head) != state.Sum) {
			state.Fault = fmt.Sprintf("%d records are there, and %d were written", state.Records, last)
		}
		return err
	})
	if err != nil {
		return meta.AuditState{}, fmt.Errorf("verify the audit log: %w", err)
	}
	return state, nil
}

func scanAudit(row scanner) (r meta.AuditRecord, err error) {
	var at int64
	var sum []byte
	err = row.Scan(&r.Number, &at, &r.Action, &r.Done, &r.User, &r.UserName, &r.Address, &r.Entry, &r.About, &r.Detail, &sum)
	r.At = fromStamp(at)
	copy(r.Sum[:], sum)
	return r, err
}
