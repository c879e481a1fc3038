package host

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// What the kernel tells, with groups of another interface, its own, ours, and a
// program's.
func TestListenedOf(t *testing.T) {
	const text = `1    lo              ff020000000000000000000000000001     1 0000000C 0
7    wpan0           ff040000000000000000000000000123     1 00000004 0
7    wpan0           ff050000000000000000000000000001     1 00000004 0
7    wpan0           ff050000000000000000000000000003     2 00000004 0
7    wpan0           ff0200000000000000000001ff000001     1 00000004 0
7    wpan0           ff020000000000000000000000000002     1 00000004 0
7    wpan0           ff020000000000000000000000000001     2 0000000C 0
7    wpan0           ff010000000000000000000000000001     1 00000008 0
7    wpan0           ff0200000000000000000000000000fb     1 00000004 0
71   wpan1           ff040000000000000000000000000124     1 00000004 0
`
	own := []netip.Addr{netip.MustParseAddr("ff05::1"), netip.MustParseAddr("ff05::3"), netip.MustParseAddr("ff02::1")}
	want := []netip.Addr{netip.MustParseAddr("ff04::123"), netip.MustParseAddr("ff05::3"), netip.MustParseAddr("ff02::fb")}
	if got, err := listened(text, 7, own); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{
		"7 wpan0 ff04 1", "7 wpan0 xx040000000000000000000000000123 1", "7 wpan0 ff040000000000000000000000000123 x",
	} {
		if got, err := listened(bad, 7, nil); err == nil {
			t.Errorf("%q is %v", bad, got)
		}
	}
}

// A program joins and leaves, and the kernel reports it on the interface.
func TestListened(t *testing.T) {
	needNamespace(t)
	tun := open(t, Options{})
	ours, theirs := netip.MustParseAddr("ff05::1:3"), netip.MustParseAddr("ff04::123")
	mustSync(t, tun, Config{Addrs: []Address{{Prefix: local, OnLink: true}}, Groups: []netip.Addr{ours}})
	reports := make(chan bool, 100)
	go func() {
		b := make([]byte, 2048)
		for {
			n, err := tun.Read(b)
			if err != nil {
				close(reports)
				return
			}
			reports <- IsListenerReport(b[:n])
		}
	}()
	expect := func(what string, want ...netip.Addr) {
		t.Helper()
		for end := time.After(5 * time.Second); ; {
			select {
			case report, ok := <-reports:
				if !ok {
					t.Fatal("the interface is gone")
				}
				if got, err := tun.Listened(); report && err == nil && slices.Equal(got, want) {
					return
				}
			case <-end:
				got, err := tun.Listened()
				t.Fatalf("%s: %v, %v; want %v and a report of it", what, got, err, want)
			}
		}
	}
	expect("at first")
	ifi, err := net.InterfaceByName(tun.Name())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenMulticastUDP("udp6", ifi, &net.UDPAddr{IP: theirs.AsSlice(), Port: 4321})
	if err != nil {
		t.Fatal(err)
	}
	expect("joined", theirs)
	// One that we listen to, too.
	both, err := net.ListenMulticastUDP("udp6", ifi, &net.UDPAddr{IP: ours.AsSlice(), Port: 4321})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	expect("left", ours)
	both.Close()
}
