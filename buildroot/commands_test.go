package buildroot

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// programs of the image that are not BusyBox's.
var programs = []string{"gatewayd", "dropbear", "dropbearkey", "e2fsck"}

var (
	// What ash does itself.
	builtin  = strings.Fields(": . [ break cd continue echo eval exec exit export printf read return set shift test trap umask wait true false")
	keywords = strings.Fields("if then else elif fi do done while until esac { } !")
)

// Every command of the overlay is one that busybox.fragment asks for, so that
// no other choice of Buildroot's leaves the image without it.
func TestCommands(t *testing.T) {
	fragment := read(t, "board/gatewayd/busybox.fragment")
	has := func(command string) bool {
		if command == "sh" {
			command = "ash"
		}
		return strings.Contains(fragment, "\nCONFIG_"+strings.ToUpper(command)+"=y\n")
	}
	seen := map[string]bool{}
	err := filepath.WalkDir("../overlay", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var found, own []string
		switch {
		case strings.HasPrefix(string(b), "#!/bin/sh\n"):
			s := script{text: string(b)}
			s.commands(0)
			found = append(s.list, "sh")
			for _, m := range regexp.MustCompile(`(?m)^(\w+)\(\)`).FindAllStringSubmatch(string(b), -1) {
				own = append(own, m[1])
			}
		case filepath.Base(path) == "inittab":
			for _, m := range regexp.MustCompile(`(?m)^[^#:]*:[^:]*:[^:]*:(\S+)`).FindAllStringSubmatch(string(b), -1) {
				found = append(found, m[1])
			}
		case filepath.Base(path) == "mdev.conf":
			for _, m := range regexp.MustCompile(`(?m)[@$*](\w+) `).FindAllStringSubmatch(string(b), -1) {
				found = append(found, m[1])
			}
		}
		for _, command := range found {
			if strings.HasPrefix(command, "/") {
				if _, err := os.Stat("../overlay" + command); err == nil {
					continue
				}
				command = filepath.Base(command)
			}
			seen[command] = true
			if !slices.Contains(slices.Concat(own, builtin, programs), command) && !has(command) {
				t.Errorf("%s: busybox.fragment does not ask for %s", path, command)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"dd", "timeout", "xargs", "cttyhack", "reboot", "modprobe", "udhcpc", "login"} {
		if !seen[command] {
			t.Errorf("%s is not found in the overlay, where it is used", command)
		}
	}
}

// prefix is what runs the command behind it, and how many words lie between.
var prefix = map[string]int{"exec": 0, "cttyhack": 0, "xargs": 1, "timeout": 1}

const digits = "0123456789"

// A script is what is left to read of a shell script: as much of the grammar as
// the overlay uses.
type script struct {
	text string
	list []string
}

// commands reads up to the closing character, or the end, and lists the
// commands on the way.
func (s *script) commands(closing byte) {
	const (
		command = iota // the next word is one
		words
		pattern // of a case
	)
	state, skip, subject := command, 0, false
	for s.text != "" {
		c := s.text[0]
		switch {
		case c == closing && state != pattern:
			s.text = s.text[1:]
			return
		case c == '#':
			_, s.text, _ = strings.Cut(s.text, "\n")
			s.text = "\n" + s.text
		case strings.HasPrefix(s.text, ";;"):
			s.text = s.text[2:]
			state = pattern
		case c == ')':
			s.text = s.text[1:]
			state = command
		case state == pattern && (c == '|' || c == '\n'):
			s.text = s.text[1:]
		case strings.IndexByte(";|&(\n", c) >= 0:
			s.text = s.text[1:]
			state, skip, subject = command, 0, false
		case c == ' ' || c == '\t':
			s.text = s.text[1:]
		default:
			w := s.word()
			switch _, redirects := strings.CutPrefix(strings.TrimLeft(w, digits), ">"); {
			case state == pattern:
				if w == "esac" {
					state = words
				}
			case redirects || strings.HasPrefix(w, "<"):
				if strings.Trim(w, digits+"<>&") == "" {
					s.text = strings.TrimLeft(s.text, " ")
					s.word()
				}
			case subject && w == "in":
				state, subject = pattern, false
			case state == words:
				if w == "-exec" {
					state = command
				}
			case skip > 0:
				skip--
			case w == "case" || w == "for":
				state, subject = words, w == "case"
			case strings.Contains(w, "=") || strings.HasSuffix(w, "()"):
			case slices.Contains(keywords, w):
			default:
				if n, ok := prefix[w]; ok {
					skip = n
				} else {
					state = words
				}
				if w[0] != '$' && !slices.Contains(s.list, w) {
					s.list = append(s.list, w)
				}
			}
		}
	}
}

// word reads one, with what is quoted in it, and lists the commands of the
// substitutions in it.
func (s *script) word() string {
	w, quoted := "", false
	for s.text != "" {
		c := s.text[0]
		switch {
		case c == '\\' && len(s.text) > 1:
			w, s.text = w+s.text[1:2], s.text[2:]
		case c == '"':
			s.text, quoted = s.text[1:], !quoted
		case c == '\'' && !quoted:
			in, rest, _ := strings.Cut(s.text[1:], "'")
			w, s.text = w+in, rest
		case strings.HasPrefix(s.text, "$(("):
			_, s.text, _ = strings.Cut(s.text, "))")
			w += "$"
		case strings.HasPrefix(s.text, "$("):
			s.text = s.text[2:]
			s.commands(')')
			w += "$"
		case strings.HasPrefix(s.text, "${"):
			_, s.text, _ = strings.Cut(s.text, "}")
			w += "$"
		case !quoted && strings.HasSuffix(w, "(") && c == ')':
			s.text = s.text[1:]
			return w + ")"
		case !quoted && c == '(' && strings.HasPrefix(s.text, "()"):
			s.text = s.text[2:]
			return w + "()"
		case !quoted && strings.IndexByte(" \t\n;|()", c) >= 0, !quoted && c == '&' && !strings.HasSuffix(w, ">"):
			return w
		case !quoted && strings.IndexByte("<>", c) >= 0 && strings.Trim(w, digits+"<>") != "":
			return w
		default:
			w, s.text = w+string(c), s.text[1:]
		}
	}
	return w
}
