package update

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A version is a release, a candidate for one, or so many commits after one,
// in the form that `git describe` gives it.
type version struct {
	release   []uint64
	candidate uint64 // of 1.2-rc3: 3; 0: the release itself
	commits   uint64 // since the release
}

// parseVersion takes 1.2, v1.2.3, 1.2-rc1, 1.2-14-g0123abc; -dirty, which says
// nothing about age, may follow.
func parseVersion(s string) (v version, err error) {
	bad := func() (version, error) {
		return version{}, fmt.Errorf("%q is no version: want numbers, like 1.2 or 1.2-rc1, and for what is between releases 1.2-14-g0123abc", s)
	}
	text := strings.TrimSuffix(strings.TrimPrefix(s, "v"), "-dirty")
	release, rest, more := strings.Cut(text, "-")
	for part := range strings.SplitSeq(release, ".") {
		n, ok := number(part)
		if !ok {
			return bad()
		}
		v.release = append(v.release, n)
	}
	if !more {
		return v, nil
	}
	parts := strings.Split(rest, "-")
	if n, ok := number(strings.TrimPrefix(parts[0], "rc")); ok && n > 0 && parts[0][0] == 'r' {
		v.candidate, parts = n, parts[1:]
	}
	switch len(parts) {
	case 0:
		return v, nil
	case 2:
		n, ok := number(parts[0])
		if !ok || !strings.HasPrefix(parts[1], "g") || strings.Trim(parts[1][1:], "0123456789abcdef") != "" {
			return bad()
		}
		v.commits = n
		return v, nil
	}
	return bad()
}

func number(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return n, err == nil && s[0] != '+'
}

func (v version) compare(w version) int {
	release := func(v version) []uint64 { // 1.2 is 1.2.0
		r := v.release
		for len(r) > 0 && r[len(r)-1] == 0 {
			r = r[:len(r)-1]
		}
		return r
	}
	// A candidate comes before its release: 0 wraps to the largest.
	return cmp.Or(slices.Compare(release(v), release(w)), cmp.Compare(v.candidate-1, w.candidate-1), cmp.Compare(v.commits, w.commits))
}

// CompareVersions is negative if a is older than b.
func CompareVersions(a, b string) (int, error) {
	v, err := parseVersion(a)
	if err != nil {
		return 0, wrap(err)
	}
	w, err := parseVersion(b)
	if err != nil {
		return 0, wrap(err)
	}
	return v.compare(w), nil
}
