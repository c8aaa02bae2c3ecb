package api

import (
	"time"

	"discordcloud/pkg/cloud"
)

// Setting is a setting in force. A secret has no value.
type Setting struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Default string `json:"default"`
	Help    string `json:"help"`
	Set     bool   `json:"set"` // given, not defaulted
}

// System is what the manager stands on, as administrators see it. It holds no
// secrets.
type System struct {
	StartedAt time.Time `json:"started_at"`
	Database  string    `json:"database"` // its kind
	// FreeBytes and DiskBytes are of the disk of the data folder, 0 if that cannot
	// be told.
	FreeBytes  int64     `json:"free_bytes"`
	DiskBytes  int64     `json:"disk_bytes"`
	Thumbnails string    `json:"thumbnails"` // the format of new ones
	Settings   []Setting `json:"settings"`
}

// check is one thing that has to be well.
type check struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Problem is a word for what is wrong, "" if it is well.
	Problem string `json:"problem"`
	Detail  string `json:"detail"` // further facts, for people
}

// leastFree is how much of the disk should be free, in bytes.
const leastFree = 512 << 20

func (a *api) system(q *call) error {
	var s System
	if a.System != nil {
		s = a.System()
	}
	if s.Settings == nil {
		s.Settings = []Setting{}
	}
	return q.answer(map[string]any{"version": a.Version, "system": s, "checks": a.checks(q, s)})
}

// checks looks at everything that the manager needs.
func (a *api) checks(q *call, s System) []check {
	database := check{Name: "database", Detail: s.Database}
	if a.Health != nil {
		if err := a.Health(q.ctx()); err != nil {
			database.Problem, database.Detail = "no-answer", cloud.CodeOf(err)
		}
	}
	disk := check{Name: "disk"}
	if s.DiskBytes > 0 && s.FreeBytes < leastFree {
		disk.Problem = "full"
	}
	upload, thumbnail := check{Name: "upload", Problem: "none"}, check{Name: "thumbnail", Problem: "none"}
	if a.Services != nil {
		for _, info := range a.Services() {
			c := &upload
			if info.Type != "upload" {
				c = &thumbnail
			}
			if info.Quarantined {
				c.Problem = "quarantined"
			} else if c.Problem == "none" {
				c.Problem = ""
			}
			if info.Lacks != "" && c.Problem == "" {
				c.Problem, c.Detail = "lacks", info.Lacks
			}
		}
	}
	discord := check{Name: "discord"}
	if a.Reaches != nil {
		discord.Problem, discord.Detail = a.Reaches()
	}
	all := []check{database, discord, upload, thumbnail, disk}
	for i := range all {
		all[i].OK = all[i].Problem == ""
	}
	return all
}
