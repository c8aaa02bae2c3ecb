package sqlmeta

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// postgresSchema is database.sql at the top of the repository.
const postgresSchema = "../../../../database.sql"

// table is what both dialects say of a table, without types and defaults.
type table struct {
	columns []string // with "not null" and what they refer to
	rules   []string // constraints and primary keys of several columns
}

var (
	tableText  = regexp.MustCompile(`(?s)CREATE TABLE (?:IF NOT EXISTS )?(\w+) \((.*?)\n?\)(?: WITHOUT ROWID)?;`)
	indexText  = regexp.MustCompile(`CREATE INDEX (?:IF NOT EXISTS )?(\w+ ON .*?);`)
	references = regexp.MustCompile(`REFERENCES .*`)
	added      = regexp.MustCompile(`, (\w+ +(?:TEXT|INTEGER|BLOB|BOOLEAN)\b)`) // SQLite puts a new column behind the last
	spaces     = regexp.MustCompile(`\s+`)
)

// parseSchema reads the tables and indexes of a script that has a column or a
// constraint on each line.
func parseSchema(text string) (tables map[string]table, indexes []string) {
	tables = map[string]table{}
	for _, match := range tableText.FindAllStringSubmatch(text, -1) {
		var t table
		for line := range strings.Lines(added.ReplaceAllString(match[2], ",\n$1")) {
			line = strings.TrimSuffix(spaces.ReplaceAllString(strings.TrimSpace(line), " "), ",")
			first, rest, _ := strings.Cut(line, " ")
			switch first {
			case "":
			case "CONSTRAINT", "PRIMARY":
				t.rules = append(t.rules, line)
			default:
				column := first
				if strings.Contains(rest, "PRIMARY KEY") {
					column += " PRIMARY KEY"
				} else if strings.Contains(rest, "NOT NULL") {
					column += " NOT NULL"
				}
				t.columns = append(t.columns, strings.TrimSpace(column+" "+references.FindString(rest)))
			}
		}
		tables[match[1]] = t
	}
	for _, match := range indexText.FindAllStringSubmatch(text, -1) {
		indexes = append(indexes, match[1])
	}
	slices.Sort(indexes)
	return tables, indexes
}

// database.sql makes the tables that a SQLite file has.
func TestSchema_postgres(t *testing.T) {
	script, err := os.ReadFile(postgresSchema)
	if err != nil {
		t.Fatal(err)
	}
	s := openTest(t)
	catalogue, err := rows(t.Context(), s.read, scanID[string],
		`SELECT sql || ';' FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'`)
	if err != nil {
		t.Fatal(err)
	}
	want, wantIndexes := parseSchema(strings.Join(catalogue, "\n"))
	head, rest, _ := strings.Cut(string(script), "-- Upgrades of older tables.")
	_, tail, _ := strings.Cut(rest, "-- End of upgrades.")
	got, gotIndexes := parseSchema(head + tail)
	if len(want) < 9 || len(want["entries"].columns) != 16 || len(want["entries"].rules) != 5 || len(wantIndexes) < 12 {
		t.Fatalf("the catalogue was not understood: %+v, %v", want, wantIndexes)
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !reflect.DeepEqual(got[name], want[name]) {
			t.Errorf("table %s\n in database.sql %q\n in SQLite       %q", name, got[name], want[name])
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("table %s is in database.sql only", name)
	}
	// The index of parts of names is of another kind in each, see trigrams.go.
	if !strings.Contains(string(script), makeTrigramIndex) {
		t.Errorf("database.sql lacks what makes %s", trigramIndex)
	}
	if n := slices.IndexFunc(catalogue, func(sql string) bool { return strings.HasPrefix(sql, "CREATE VIRTUAL TABLE "+trigramTable) }); n < 0 {
		t.Errorf("SQLite lacks %s", trigramTable)
	}
	gotIndexes = slices.DeleteFunc(gotIndexes, func(index string) bool { return strings.HasPrefix(index, trigramIndex) })
	if !slices.Equal(gotIndexes, wantIndexes) {
		t.Errorf("indexes\n in database.sql %q\n in SQLite       %q", gotIndexes, wantIndexes)
	}
	version := fmt.Sprintf("INSERT INTO schema_version (version, applied_at) VALUES (%d, ", len(migrations()))
	if !strings.Contains(string(script), version) {
		t.Errorf("database.sql lacks %q", version)
	}
}

var update = flag.Bool("update", false, "write the upgrades of database.sql anew")

// upgrades are what database.sql does to older tables: what the migrations do, one
// after another, and none twice.
func upgrades() string {
	var script strings.Builder
	for _, m := range migrations()[1:] {
		fmt.Fprintf(&script, `DO $upgrade$
BEGIN
	IF (SELECT MAX(version) FROM schema_version) = %d THEN
		EXECUTE $migration$
%s
$migration$;
		INSERT INTO schema_version (version, applied_at) VALUES (%d, (extract(epoch FROM now()) * 1000000)::bigint);
	END IF;
END
$upgrade$;
`, m.version-1, strings.TrimSpace(tablesToPostgres(m.sql)), m.version)
	}
	return script.String()
}

// database.sql brings older tables up to date by the manager's own migrations.
func TestSchema_upgrades(t *testing.T) {
	script, err := os.ReadFile(postgresSchema)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "-run TestSchema_upgrades -update\n", "-- End of upgrades."
	head, rest, ok1 := strings.Cut(string(script), begin)
	got, tail, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatal("database.sql has no place for upgrades")
	}
	want := upgrades()
	if *update {
		if err := os.WriteFile(postgresSchema, []byte(head+begin+want+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Error("the upgrades of database.sql are not the migrations: run the test with -update")
	}
}
