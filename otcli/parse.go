package otcli

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/thread/meshcop"
)

// parseUint reads a number of so many bits, decimal or with 0x hexadecimal.
func parseUint(s string, bits int) (uint64, error) {
	base := 10
	if t, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		s, base = t, 16
	}
	if s == "" || s[0] == '+' || s[0] == '-' {
		return 0, InvalidArgs
	}
	v, err := strconv.ParseUint(s, base, bits)
	if err != nil {
		return 0, InvalidArgs
	}
	return v, nil
}

// parseInt reads a number that may have a sign.
func parseInt(s string, bits int) (int64, error) {
	negative := strings.HasPrefix(s, "-")
	v, err := parseUint(strings.TrimPrefix(strings.TrimPrefix(s, "-"), "+"), bits)
	limit := uint64(1) << (bits - 1)
	switch {
	case err != nil:
		return 0, err
	case negative && v <= limit:
		return -int64(v), nil
	case !negative && v < limit:
		return int64(v), nil
	}
	return 0, InvalidArgs
}

// parseHex reads at most most bytes; an odd number of digits has a 0 before it.
func parseHex(s string, most int) ([]byte, error) {
	if s == "" {
		return nil, InvalidArgs
	}
	if len(s)%2 != 0 {
		s = "0" + s
	}
	b, err := hex.DecodeString(s)
	if err != nil || len(b) > most {
		return nil, InvalidArgs
	}
	return b, nil
}

// parseLetters reads the bits that letters stand for, at least one.
func parseLetters[T ~uint8 | ~uint16 | ~uint32](s string, bits map[rune]T) (v T, err error) {
	if s == "" {
		return 0, InvalidArgs
	}
	for _, r := range s {
		bit, ok := bits[r]
		if !ok {
			return 0, InvalidArgs
		}
		v |= bit
	}
	return v, nil
}

// parseExactHex reads as many bytes as out has.
func parseExactHex(s string, out []byte) error {
	b, err := parseHex(s, len(out))
	if err != nil || len(b) != len(out) {
		return InvalidArgs
	}
	copy(out, b)
	return nil
}

func parseExt(s string) (e ieee802154.ExtAddr, err error) {
	err = parseExactHex(s, e[:])
	return e, err
}

// parseAddr reads an IPv6 address.
func parseAddr(s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, InvalidArgs
	}
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is6() || a.Zone() != "" {
		return netip.Addr{}, Parse
	}
	return a, nil
}

// parsePrefix reads an IPv6 prefix; bits beyond its length are dropped.
func parsePrefix(s string) (netip.Prefix, error) {
	if s == "" {
		return netip.Prefix{}, InvalidArgs
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || !p.Addr().Is6() {
		return netip.Prefix{}, Parse
	}
	return p.Masked(), nil
}

// parseDiscerner reads number/bits. ok is false for what is no discerner.
func parseDiscerner(s string) (d meshcop.Discerner, ok bool, err error) {
	number, bits, ok := strings.Cut(s, "/")
	if !ok {
		return d, false, nil
	}
	n, err := parseUint(bits, 8)
	if err != nil || n < 1 || n > 64 {
		return d, true, InvalidArgs
	}
	v, err := parseUint(number, 64)
	if err != nil {
		return d, true, err
	}
	return meshcop.Discerner{Value: v, Bits: uint8(n)}, true, nil
}

// parseSeconds reads seconds with up to three places behind the point.
func parseSeconds(s string) (time.Duration, error) {
	whole, part, point := strings.Cut(s, ".")
	if whole == "" {
		whole = "0"
	}
	if len(part) > 3 {
		part = part[:3]
	}
	w, err := parseUint(whole, 22) // seconds that are 32 bits of milliseconds
	if err != nil {
		return 0, err
	}
	d := time.Duration(w) * time.Second
	if point && part != "" {
		p, err := parseUint(part+strings.Repeat("0", 3-len(part)), 16)
		if err != nil {
			return 0, err
		}
		d += time.Duration(p) * time.Millisecond
	}
	return d, nil
}
