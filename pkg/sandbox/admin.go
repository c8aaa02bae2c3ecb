package sandbox

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// serveAdmin is the server's own controls under /sandbox. They need a bot's
// token, and no limit or fault touches them.
func (s *Server) serveAdmin(w http.ResponseWriter, r *http.Request, steps []string) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bot ")
	if token == "" || s.botByToken(token) == nil {
		adminAnswer(w, http.StatusUnauthorized, map[string]string{"error": "send a bot's token as Authorization"})
		return
	}
	v, err := s.admin(r, r.Method+" "+strings.Join(steps, "/"))
	switch {
	case errors.Is(err, errNoControl), errors.Is(err, errUnknown):
		adminAnswer(w, http.StatusNotFound, map[string]string{"error": err.Error()})
	case err != nil:
		adminAnswer(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
	default:
		adminAnswer(w, http.StatusOK, v)
	}
}

var errNoControl = errors.New("no such control")

func adminAnswer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that left needs no answer
}

// controls is what /sandbox/settings reads and writes. Times are seconds.
type controls struct {
	Mode           *Mode       `json:"mode,omitempty"`
	Scale          *float64    `json:"scale,omitempty"`
	Limits         *Limits     `json:"limits,omitempty"`
	LinkLifetime   *float64    `json:"link_lifetime,omitempty"`
	Latency        *float64    `json:"latency,omitempty"`
	Up             *int64      `json:"up,omitempty"`
	Down           *int64      `json:"down,omitempty"`
	BoostTier      *int        `json:"boost_tier,omitempty"`
	MessageContent *switchable `json:"message_content,omitempty"`
}

type switchable struct {
	Token string `json:"token"`
	On    bool   `json:"on"`
}

func (s *Server) admin(r *http.Request, what string) (any, error) {
	done := map[string]bool{"ok": true}
	switch what {
	case "GET ":
		return map[string]any{
			"url": s.URL(), "api": s.URL() + "/api/v10", "gateway": s.gatewayURL(), "guild": s.GuildID(), "channels": s.Channels(),
			"routes": s.Routes(),
		}, nil
	case "GET faults":
		return map[string]any{"rules": s.faults.Rules(), "counts": s.faults.Counts()}, nil
	case "POST faults":
		var rules []Rule
		if err := readJSON(r, &rules); err != nil {
			return nil, err
		}
		return done, s.faults.TryAdd(rules...)
	case "DELETE faults":
		if name := r.URL.Query().Get("name"); name != "" {
			return map[string]int{"removed": s.faults.Remove(name)}, nil
		}
		s.faults.Clear()
		return done, nil
	case "GET stats":
		return s.Stats(), nil
	case "GET attachments":
		list, err := s.Attachments()
		return list, err
	case "GET settings":
		return s.controls(), nil
	case "PATCH settings":
		var c controls
		if err := readJSON(r, &c); err != nil {
			return nil, err
		}
		if err := s.control(c); err != nil {
			return nil, err
		}
		return s.controls(), nil
	case "POST bots":
		var b struct {
			Name string `json:"name"`
		}
		if err := readJSON(r, &b); err != nil {
			return nil, err
		}
		token, err := s.AddBot(b.Name)
		return map[string]string{"token": token}, err
	case "POST corrupt":
		var a struct {
			Attachment string `json:"attachment"`
			At         int64  `json:"at"`
		}
		if err := readJSON(r, &a); err != nil {
			return nil, err
		}
		return done, s.CorruptAttachment(a.Attachment, a.At)
	case "POST reconnect":
		s.Reconnect()
		return done, nil
	case "POST invalidate":
		s.InvalidateSessions(r.URL.Query().Get("resumable") == "true")
		return done, nil
	case "POST unban":
		s.Unban()
		return done, nil
	}
	if message, ok := strings.CutPrefix(what, "DELETE messages/"); ok {
		return done, s.DeleteMessage(message)
	}
	if attachment, ok := strings.CutPrefix(what, "DELETE attachments/"); ok {
		return done, s.RemoveAttachment(attachment)
	}
	return nil, errNoControl
}

func readJSON(r *http.Request, v any) error {
	dec := json.NewDecoder(io.LimitReader(r.Body, maxJSON))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

func (s *Server) controls() controls {
	set, link := s.settings(), *s.link.Load()
	return controls{
		Mode: &set.mode, Scale: &set.scale, Limits: &set.limits, LinkLifetime: new(set.lifetime.Seconds()),
		Latency: new(link.Latency.Seconds()), Up: &link.Up, Down: &link.Down,
	}
}

func (s *Server) control(c controls) error {
	if c.Scale != nil && !(*c.Scale > 0) {
		return errors.New("scale is not positive")
	}
	if c.BoostTier != nil {
		if err := s.SetBoostTier(*c.BoostTier); err != nil {
			return err
		}
	}
	if c.MessageContent != nil {
		if err := s.SetMessageContent(c.MessageContent.Token, c.MessageContent.On); err != nil {
			return err
		}
	}
	if c.Mode != nil {
		s.SetMode(*c.Mode)
	}
	if c.Scale != nil {
		s.SetScale(*c.Scale)
	}
	if c.Limits != nil {
		s.SetLimits(*c.Limits)
	}
	if c.LinkLifetime != nil {
		s.SetLinkLifetime(seconds(*c.LinkLifetime))
	}
	link := *s.link.Load()
	if c.Latency != nil {
		link.Latency = seconds(*c.Latency)
	}
	if c.Up != nil {
		link.Up = *c.Up
	}
	if c.Down != nil {
		link.Down = *c.Down
	}
	s.SetLink(link)
	return nil
}

func seconds(v float64) time.Duration { return time.Duration(v * float64(time.Second)) }
