package appliance

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

var errNoWiFi = errors.New("this system has no Wi-Fi: connect it to the router with a network cable")

// checkHostname takes a label of RFC 1123 Section 2.1.
func checkHostname(v string) error {
	if len(v) == 0 || len(v) > 63 {
		return errors.New("want 1 to 63 letters, digits and hyphens")
	}
	for i, c := range v {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-' && i > 0 && i < len(v)-1:
		default:
			return fmt.Errorf("%q has %q at byte %d: want letters from a to z, digits, and hyphens within", v, string(c), i)
		}
	}
	return nil
}

// checkAddress takes an IPv4 address that a host can have in its network.
func checkAddress(p netip.Prefix) error {
	a := p.Addr()
	if !a.IsGlobalUnicast() && !a.IsLinkLocalUnicast() {
		return fmt.Errorf("%v is no address of a host", a)
	}
	if hosts := 32 - p.Bits(); hosts > 1 {
		b := a.As4()
		switch n := binary.BigEndian.Uint32(b[:]) << p.Bits(); n {
		case 0:
			return fmt.Errorf("%v is the network itself: want an address in it", a)
		case math.MaxUint32 << p.Bits():
			return fmt.Errorf("%v is for all hosts of its network: want the address of one", a)
		}
	}
	return nil
}

// checkDomain takes labels with dots between them.
func checkDomain(v string) error {
	for label := range strings.SplitSeq(v, ".") {
		if err := checkHostname(label); err != nil {
			return err
		}
	}
	return nil
}

// userName is what login programs take everywhere.
var userName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// hashed is what the console's login can check: crypt(3) with SHA-256 or
// SHA-512.
var hashed = regexp.MustCompile(`^\$(5|6)\$(rounds=[0-9]{1,9}\$)?[./0-9A-Za-z]{1,16}\$([./0-9A-Za-z]{43}|[./0-9A-Za-z]{86})$`)

// checkHash takes the hash of a password. Errors do not tell it.
func checkHash(v string) error {
	switch m := hashed.FindStringSubmatch(v); {
	case m != nil && (m[1] == "5") == (len(m[3]) == 43):
		return nil
	case strings.HasPrefix(v, "$y$"), strings.HasPrefix(v, "$7$"), strings.HasPrefix(v, "$2"), strings.HasPrefix(v, "$1$"):
		return errors.New("this system cannot check a hash of this kind: make one with `openssl passwd -6`")
	case strings.HasPrefix(v, "$"):
		return errors.New("the hash is not complete: make one with `openssl passwd -6`")
	}
	return errors.New("this is no hash; the password itself must not be here: make a hash with `openssl passwd -6`")
}

// keyTypes are the public keys that the SSH server takes.
var keyTypes = []string{"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa",
	"sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"}

// checkKey takes a public key as in a file of OpenSSH's, and returns it with
// single blanks: type, key (RFC 4253 Section 6.6), and a comment if there is
// one.
func checkKey(v string) (string, error) {
	f := strings.Fields(v)
	switch {
	case strings.Contains(v, "PRIVATE KEY"):
		return "", errors.New("this is a private key, which belongs nowhere but where it was made: want the public one, from a file like id_ed25519.pub")
	case len(f) < 2 || !slices.Contains(keyTypes, f[0]):
		return "", fmt.Errorf("want a public key as in a file like id_ed25519.pub, which begins with %s", strings.Join(keyTypes[:5], ", "))
	case strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return "", errors.New("the key has a character that cannot be printed")
	}
	b, err := base64.StdEncoding.DecodeString(f[1])
	if err != nil {
		return "", errors.New("the key is not complete: its second word is not base64")
	}
	rest, parts := b, 0
	for len(rest) >= 4 {
		n := binary.BigEndian.Uint32(rest)
		if uint64(n) > uint64(len(rest)-4) {
			break
		}
		if parts == 0 && string(rest[4:4+n]) != f[0] {
			return "", fmt.Errorf("the key is of another type than its first word, %s", f[0])
		}
		rest = rest[4+n:]
		parts++
	}
	if len(rest) != 0 || parts < 2 {
		return "", errors.New("the key is not complete")
	}
	return strings.Join(f, " "), nil
}
