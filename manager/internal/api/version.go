package api

import (
	"net/http"
	"strconv"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// versionRecord is a former content of a file.
type versionRecord struct {
	ID         meta.VersionID `json:"id"`
	Size       int64          `json:"size"`
	Type       string         `json:"type"`
	Hash       string         `json:"hash,omitempty"`
	ModifiedAt string         `json:"modified_at"`
	ReplacedAt string         `json:"replaced_at"`
	ReplacedBy *packet.Owner  `json:"replaced_by"`
}

func (a *api) versions(q *call) error {
	all, err := q.fs.Versions(q.ctx(), q.who, q.entry.ID)
	if err != nil {
		return err
	}
	rs := a.records(q)
	list := make([]versionRecord, 0, len(all))
	for _, v := range all {
		by, err := rs.owner(q.ctx(), v.ReplacedBy)
		if err != nil {
			return err
		}
		list = append(list, versionRecord{v.ID, v.Size, v.Type, v.Hash.String(), stamp(v.ModifiedAt), stamp(v.ReplacedAt), by})
	}
	return q.answer(map[string]any{"versions": list, "most": a.Retention.Versions, "days": days(a.Retention.VersionAge)})
}

// version is the path's {version}.
func (q *call) version() (meta.VersionID, error) {
	id, err := strconv.ParseInt(q.r.PathValue("version"), 10, 64)
	if err != nil || id < 1 {
		return 0, cloud.UserErrorf(cloud.ErrInvalid, "a version is a whole number")
	}
	return meta.VersionID(id), nil
}

func (a *api) versionContent(q *call) error {
	id, err := q.version()
	if err != nil {
		return err
	}
	c, err := q.fs.OpenVersion(q.ctx(), q.who, q.entry.ID, id)
	if err != nil {
		return err
	}
	return a.send(q, c, q.r.URL.Query().Get("download") != "1")
}

func (a *api) restoreVersion(q *call) error {
	id, err := q.version()
	if err != nil {
		return err
	}
	e, err := q.fs.RestoreVersion(q.ctx(), q.who, q.entry.ID, id)
	if err != nil {
		return err
	}
	record, err := a.records(q).entry(q.ctx(), e)
	if err != nil {
		return err
	}
	return q.answer(map[string]any{"entry": record})
}

func (a *api) deleteVersion(q *call) error {
	id, err := q.version()
	if err != nil {
		return err
	}
	if err := q.fs.DeleteVersion(q.ctx(), q.who, q.entry.ID, id); err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusNoContent)
	return nil
}
