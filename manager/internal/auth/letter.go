package auth

import (
	"fmt"
	"strings"
	"time"

	"discordcloud/manager/internal/mail"
)

// letters are the mails of one language. Names in them are those of accounts,
// which are plain ASCII; nothing else of what people typed gets into a mail.
type letters struct {
	german bool
	host   string // of the page, as people know it
}

// letters are those of a language tag, English without one that is known.
func (s *Service) letters(language string) letters {
	_, host, _ := strings.Cut(s.publicURL, "://")
	return letters{strings.HasPrefix(strings.ToLower(language), "de"), host}
}

func (l letters) of(to, subject, text string, args ...any) mail.Message {
	return mail.Message{To: to, Subject: subject + " " + l.host, Text: fmt.Sprintf(text, args...)}
}

func (l letters) invitation(to, from, link string, expires time.Time) mail.Message {
	day := expires.UTC().Format("2006-01-02 15:04 MST")
	if l.german {
		return l.of(to, "Einladung zu", "Hallo,\n\n%s lädt dich ein, deine Dateien bei %s aufzubewahren. Hier machst du dein Konto:\n\n%s\n\n"+
			"Die Einladung gilt bis %s. Wenn du nichts damit anfangen kannst, lösche diese Mail einfach.\n", from, l.host, link, day)
	}
	return l.of(to, "Invitation to", "Hello,\n\n%s invites you to keep your files at %s. Make your account here:\n\n%s\n\n"+
		"The invitation ends at %s. If it means nothing to you, just delete this mail.\n", from, l.host, link, day)
}

func (l letters) reset(to, name, link string) mail.Message {
	if l.german {
		return l.of(to, "Neues Passwort für", "Hallo %s,\n\njemand, vermutlich du, möchte ein neues Passwort für dein Konto bei %s. Hier setzt du es:\n\n%s\n\n"+
			"Der Link gilt eine Stunde und einmal. Wenn du das nicht warst, musst du nichts tun: dein Passwort bleibt, wie es ist.\n", name, l.host, link)
	}
	return l.of(to, "New password for", "Hello %s,\n\nsomebody, probably you, wants a new password for your account at %s. Set it here:\n\n%s\n\n"+
		"The link works for an hour, and once. If it was not you, there is nothing to do: your password stays as it is.\n", name, l.host, link)
}

func (l letters) confirm(to, name, link string) mail.Message {
	if l.german {
		return l.of(to, "Adresse bestätigen für", "Hallo %s,\n\nhier bestätigst du, dass diese Adresse zu deinem Konto bei %s gehört:\n\n%s\n\n"+
			"Der Link gilt einen Tag. Wenn du das nicht warst, lösche diese Mail einfach.\n", name, l.host, link)
	}
	return l.of(to, "Confirm your address for", "Hello %s,\n\nconfirm here that this address belongs to your account at %s:\n\n%s\n\n"+
		"The link works for a day. If it was not you, just delete this mail.\n", name, l.host, link)
}
