package packet

import (
	"cmp"
	"os"
	"slices"
	"strings"
	"testing"
)

// section is what PACKETS.md says of one packet.
type section struct {
	line     string // direction, kind, replies, version
	rows     []row
	examples []string
}

// sections reads PACKETS.md: the sections of packets by their id, and the rows
// of the index.
func sections(t *testing.T) (map[string]*section, []string) {
	t.Helper()
	raw, err := os.ReadFile("../../PACKETS.md")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]*section)
	var indexed []string
	var s *section
	heading, fenced := "", false
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "```"):
			fenced = line == "```json"
		case fenced:
			if s != nil {
				s.examples = append(s.examples, line)
			}
		case strings.HasPrefix(line, "#"):
			heading, s = strings.TrimLeft(line, "# "), nil
			if id := strings.Trim(heading, "`"); id != heading {
				if found[id] != nil {
					t.Errorf("%s has two sections", id)
				}
				s = &section{}
				found[id] = s
			}
		case s != nil && s.line == "":
			s.line = line
		case s != nil && strings.HasPrefix(line, "| `"):
			if cells := strings.SplitN(line, " | ", 4); len(cells) == 4 {
				s.rows = append(s.rows, row{strings.TrimPrefix(cells[0], "| "), cells[1], cells[2]})
			} else {
				t.Errorf("%s: a row of other columns: %s", heading, line)
			}
		case heading == "Index" && strings.HasPrefix(line, "| `"):
			indexed = append(indexed, line)
		}
	}
	return found, indexed
}

func directions(id string) string {
	return map[Namespace]string{
		C2S: "Client to manager", S2C: "Manager to client", Generic: "Any direction",
		S2U: "Manager to upload service", U2S: "Upload service to manager",
		S2T: "Manager to thumbnail service", T2S: "Thumbnail service to manager",
	}[namespace(id)]
}

func kindOf(s *spec) string {
	switch {
	case s.replies != nil:
		return "request"
	case s.reply:
		return "reply"
	}
	return "event"
}

// heads is the first line of a packet's section.
func heads(id string, s *spec) string {
	line := directions(id) + ". " + strings.ToUpper(kindOf(s)[:1]) + kindOf(s)[1:]
	for i, reply := range s.replies {
		line += []string{", answered by ", " or "}[min(i, 1)] + "`" + reply.PacketID() + "`"
	}
	line += "."
	switch {
	case s.since == V2:
		line += " Version 2 only."
	case s.until == V1:
		line += " Version 1 only."
	}
	return line
}

func TestDocument(t *testing.T) {
	found, indexed := sections(t)
	for id, s := range specs {
		d := found[id]
		if d == nil {
			t.Errorf("%s has no section", id)
			continue
		}
		delete(found, id)
		if want := heads(id, s); d.line != want {
			t.Errorf("%s: %q, want %q", id, d.line, want)
		}
		if want := rows("", s.fields); !slices.Equal(d.rows, want) {
			t.Errorf("%s: its table has\n%v, the code\n%v", id, d.rows, want)
		}
		if len(d.examples) == 0 {
			t.Errorf("%s has no example", id)
		}
		accepted := make(map[Version]bool)
		for _, raw := range d.examples {
			example(t, id, s, []byte(raw), accepted)
		}
		for _, v := range []Version{V1, V2} {
			if accepted[v] != s.knownTo(v) {
				t.Errorf("%s: an example is of version %d: %v, but the version has it: %v", id, v, accepted[v], s.knownTo(v))
			}
		}
	}
	for id := range found {
		t.Errorf("%s has a section but does not exist", id)
	}

	var want []string
	for id, s := range specs {
		versions := "1, 2"
		switch {
		case s.since == V2:
			versions = "2"
		case s.until == V1:
			versions = "1"
		}
		want = append(want, "| `"+id+"` | "+directions(id)+" | "+kindOf(s)+" | "+versions+" |")
	}
	order := func(a, b string) int { return cmp.Compare(a, b) }
	slices.SortFunc(want, order)
	slices.SortFunc(indexed, order)
	if !slices.Equal(indexed, want) {
		t.Errorf("the index has\n%s\nwant\n%s", strings.Join(indexed, "\n"), strings.Join(want, "\n"))
	}
}

// example checks that an example is the packet, on version 2 if that has it,
// and comes back as it was. It marks the versions that accept it.
func example(t *testing.T, id string, s *spec, raw []byte, accepted map[Version]bool) {
	t.Helper()
	for _, v := range []Version{V1, V2} {
		e, err := Decode(raw, namespace(id), v)
		if err != nil {
			if v == V2 && s.knownTo(V2) {
				t.Errorf("%s: example %s: %v", id, raw, err)
			}
			continue
		}
		accepted[v] = true
		if e.ID != id || e.UUID == "" || s.reply != (e.ReplyUUID != "") {
			t.Errorf("%s: example %s has another id, no uuid, or is a reply or not against its kind", id, raw)
		}
		back, err := Encode(e, v)
		if err != nil || string(back) != string(raw) {
			t.Errorf("%s: example\n%s came back as\n%s (%v)", id, raw, back, err)
		}
	}
}
