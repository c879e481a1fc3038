package neighbor

import (
	"testing"
	"time"

	"gatewayd/thread/link"
)

func TestLinksPreference(t *testing.T) {
	var l Links
	step := func(what string, best link.Radio, air, trel uint8) {
		t.Helper()
		if l.Best() != best || l.Preference(link.Air) != air || l.Preference(link.TREL) != trel {
			t.Errorf("%s: best %v, air %d, TREL %d; want %v, %d, %d", what, l.Best(), l.Preference(link.Air), l.Preference(link.TREL), best, air, trel)
		}
	}
	l.Sent(link.TREL, false)
	if l.Known() != 0 {
		t.Error("a failure shows a link")
	}
	l.Heard(link.Air)
	step("heard by the air", link.Air, 200, 0)
	l.Heard(link.TREL)
	step("heard by both", link.TREL, 200, 200)
	l.Heard(link.Air)
	l.Sent(link.Air, true)
	step("the air is good", link.Air, 240, 200)
	l.Sent(link.TREL, true)
	step("both are good", link.TREL, 240, 225)
	for range 9 {
		l.Heard(link.TREL)
	}
	step("as good as can be", link.TREL, 240, 255)
	l.Sent(link.TREL, false)
	step("TREL did not acknowledge", link.Air, 240, 155)
	l.Sent(link.Air, false)
	step("nor did the air", link.Air, 205, 155)
	for range 7 {
		l.Sent(link.Air, false)
	}
	step("the air is dead", link.TREL, 0, 155)
}

func TestLinksRepeated(t *testing.T) {
	var l Links
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, s := range []struct {
		tag  uint16
		want bool
	}{
		{65530, false}, {65530, true}, {65531, false}, {65530, true}, {2, false}, {1, false}, {1, true}, {65531, true},
		{65500, false}, // too old to tell
		{40, false}, {2, false}, {40, true}, {5000, false}, {4999, false}, {4999, true},
	} {
		if got := l.Repeated(s.tag, now); got != s.want {
			t.Errorf("tag %d: %v", s.tag, got)
		}
	}
	if l.Repeated(4999, now.Add(tagsFor)) {
		t.Error("a tag is remembered for too long")
	}
}

func TestLinksCopied(t *testing.T) {
	var l Links
	for _, s := range []struct {
		counter uint32
		want    bool
	}{{0, false}, {0, true}, {7, false}, {7, true}, {8, false}} {
		if got := l.Copied(s.counter); got != s.want {
			t.Errorf("counter %d: %v", s.counter, got)
		}
	}
}
