package store

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

const (
	generations = 3 // kept of each value
	maxAside    = 8 // damaged files kept of each value, as evidence

	lockName = "lock"
	wipeName = "wiping" // present while a Wipe is under way

	asideMark = ".corrupt-"
	maxName   = 64
)

// checkName says whether a value may be called name: lower-case letters,
// digits, - and _, so that it is a file name and sorts the same everywhere.
func checkName(name string) error {
	ok := name != "" && len(name) <= maxName && name != lockName && name != wipeName
	for _, c := range []byte(name) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	}
	if !ok {
		return fmt.Errorf("store: %q cannot name a value: want 1 to %d of a-z 0-9 - _, and neither %q nor %q",
			name, maxName, lockName, wipeName)
	}
	return nil
}

// files is what the directory holds of one value.
type files struct {
	gens  []uint64 // ascending
	aside []aside  // ascending by generation
}

type aside struct {
	gen  uint64
	file string
}

// next is the generation a Save gives its file: higher than any seen, damaged
// ones included, so that what replaces lost data is known to be newer.
func (f files) next() uint64 {
	var last uint64
	if n := len(f.gens); n > 0 {
		last = f.gens[n-1]
	}
	if n := len(f.aside); n > 0 {
		last = max(last, f.aside[n-1].gen)
	}
	return last + 1
}

// scan reads the directory. Files that are not the store's are left out.
func scan(dir string) (map[string]files, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	all := map[string]files{}
	for _, e := range entries {
		name, gen, damaged, ok := parseFile(e.Name())
		if !ok {
			continue
		}
		f := all[name]
		if damaged {
			f.aside = append(f.aside, aside{gen, e.Name()})
		} else {
			f.gens = append(f.gens, gen)
		}
		all[name] = f
	}
	for _, f := range all { // numbers do not sort as names do
		slices.Sort(f.gens)
		slices.SortStableFunc(f.aside, func(a, b aside) int { return cmp.Compare(a.gen, b.gen) })
	}
	return all, nil
}

// fileName is where a generation of a value is kept.
func fileName(name string, gen uint64) string {
	return name + "." + strconv.FormatUint(gen, 10)
}

// parseFile takes a file name apart. Generations stay below 1<<62, so that
// there is always a next one.
func parseFile(file string) (name string, gen uint64, damaged, ok bool) {
	whole := file
	if head, n, found := strings.Cut(file, asideMark); found {
		if _, err := strconv.ParseUint(n, 10, 31); err != nil {
			return "", 0, false, false
		}
		file, damaged = head, true
	}
	name, num, _ := strings.Cut(file, ".")
	gen, err := strconv.ParseUint(num, 10, 62)
	if err != nil || checkName(name) != nil || !strings.HasPrefix(whole, fileName(name, gen)) {
		return "", 0, false, false
	}
	return name, gen, damaged, true
}

// isTemporary reports whether a file is what an interrupted Save left: the
// name of the file it was to become, after a dot and before a number.
func isTemporary(file string) bool {
	rest, ok := strings.CutPrefix(file, ".")
	if !ok {
		return false
	}
	if strings.HasPrefix(rest, wipeName) {
		return true
	}
	name, num, ok := strings.Cut(rest, ".")
	return ok && checkName(name) == nil && num != "" && strings.Trim(num, "0123456789") == ""
}
