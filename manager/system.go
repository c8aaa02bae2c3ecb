package manager

import (
	"discordcloud/manager/internal/api"
)

// Setting is a setting in force, as administrators see it.
type Setting = api.Setting

// system tells what the manager stands on.
func (m *Manager) system() api.System {
	database := "SQLite"
	switch {
	case m.cfg.Database.overREST():
		database = "Supabase"
	case m.cfg.Database.URL != "":
		database = "PostgreSQL"
	}
	format := m.cfg.ThumbnailFormat
	if m.cfg.ThumbnailEncoder == nil {
		format = "jpeg" // nothing else can be made
	}
	free, size := diskSpace(m.cfg.DataDir)
	return api.System{
		StartedAt: m.started.UTC(), Database: database, FreeBytes: free, DiskBytes: size, Thumbnails: format, Settings: m.cfg.Settings,
	}
}
