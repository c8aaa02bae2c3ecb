package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// Terminal is where commands read and write.
type Terminal struct {
	In       io.Reader
	Out, Err io.Writer

	lines *bufio.Reader // of In, from the first question on
}

// Line asks for a line.
func (t *Terminal) Line(prompt string) (string, error) {
	if _, err := io.WriteString(t.Err, prompt); err != nil {
		return "", fmt.Errorf("ask: %w", err)
	}
	return t.line()
}

// Secret asks for a line that is not shown while it is typed.
func (t *Terminal) Secret(prompt string) (string, error) {
	f, ok := t.In.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return t.Line(prompt)
	}
	if _, err := io.WriteString(t.Err, prompt); err != nil {
		return "", fmt.Errorf("ask: %w", err)
	}
	text, err := term.ReadPassword(int(f.Fd()))
	_, _ = io.WriteString(t.Err, "\n") // the one that was not shown
	if err != nil {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	return string(text), nil
}

func (t *Terminal) line() (string, error) {
	if t.lines == nil {
		t.lines = bufio.NewReader(io.LimitReader(t.In, 64<<10))
	}
	line, err := t.lines.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

func (t *Terminal) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(t.Out, format, args...)
	return err
}

// shown is a name as it may be written to a terminal: others chose it, and what
// steers terminals must not come from them.
func shown(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return unicode.ReplacementChar
	}, name)
}
