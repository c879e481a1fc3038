package nat64

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TAYGA, a stateless translator, makes of a packet what we make of it, when a
// session is there. It does not translate errors about echo replies.
func TestTayga(t *testing.T) {
	need(t, "ip", "tayga")
	w := &world{t: t}
	w.router = w.namespace("tayga")
	config := filepath.Join(t.TempDir(), "tayga.conf")
	const text = "tun-device nat64\nipv4-addr 192.168.255.1\nprefix 2001:db8:64::/96\nmap 192.168.255.5 fd00:1::10\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w.run(w.router, "tayga", "-c", config, "--mktun")
	tun := w.tun(w.router, "peer")
	t.Cleanup(func() { tun.Close() })
	for _, s := range []string{
		"link set nat64 mtu 1500", "link set nat64 up", "link set peer mtu 1500", "link set peer up",
		"route add 2001:db8:64::/96 dev nat64", "route add 192.168.255.0/28 dev nat64",
		"route add fd00:1::/64 dev peer", "route add 203.0.113.0/24 dev peer",
	} {
		w.ip(w.router, s)
	}
	w.run(w.router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding")
	daemon := exec.Command("ip", "netns", "exec", w.router, "tayga", "-c", config, "-d")
	var log bytes.Buffer
	daemon.Stdout, daemon.Stderr = &log, &log
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		daemon.Process.Kill()
		daemon.Wait()
		if t.Failed() {
			t.Logf("tayga: %s", log.Bytes())
		}
	})

	prefix := netip.MustParsePrefix("2001:db8:64::/96")
	own := netip.MustParseAddr("192.168.255.5")
	b := newBench(t, func(c *Config) {
		c.Prefix, c.Pool = prefix, netip.PrefixFrom(own, 32)
		c.MTU6 = 1500
	})
	far := Embed(prefix, server)
	b.out(udp6(device, far, 5000, 53, nil))
	b.out(tcp6(device, far, 5000, 80, flagSYN, nil))
	b.in(tcp4(server, own, 80, 5000, flagSYN|flagACK, nil))
	b.out(echo6(device, far, 128, 5000, 1, nil))

	// theirs gives the packet to the other translator until an answer of the
	// other version comes back.
	theirs := func(p []byte) []byte {
		buf := make([]byte, 2048)
		for range 20 {
			if _, err := tun.Write(p); err != nil {
				t.Fatal(err)
			}
			for end := time.Now().Add(200 * time.Millisecond); ; {
				tun.SetReadDeadline(end)
				n, err := tun.Read(buf)
				if err != nil {
					break
				}
				q := buf[:n]
				if p[0]>>4 == 6 && q[0]>>4 == 4 && dst4(q) == server || p[0]>>4 == 4 && q[0]>>4 == 6 && dst6(q) == device {
					return bytes.Clone(q)
				}
			}
		}
		return nil
	}
	inner4 := udp4(own, server, 5000, 53, []byte("question"))
	inner6 := udp6(far, device, 53, 5000, []byte("answer"))
	router4, router6 := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("fd00:1::10")
	for name, p := range map[string][]byte{
		"udp out":          udp6(device, far, 5000, 53, []byte("question")),
		"udp out, large":   udp6(device, far, 5000, 53, pattern(1400)),
		"tcp out":          tcp6(device, far, 5000, 80, flagACK, pattern(77)),
		"echo out":         echo6(device, far, 128, 5000, 7, pattern(33)),
		"unreachable out":  icmp6(router6, far, 1, 4, 0, inner6),
		"prohibited out":   icmp6(router6, far, 1, 1, 0, inner6),
		"exceeded out":     icmp6(router6, far, 3, 0, 0, inner6),
		"too big out":      icmp6(router6, far, 2, 0, 1300, inner6),
		"tcp error out":    icmp6(router6, far, 1, 0, 0, tcp6(far, device, 80, 5000, flagACK, []byte("x"))),
		"next header out":  icmp6(router6, far, 4, 1, 6, inner6),
		"udp in":           udp4(server, own, 53, 5000, []byte("answer")),
		"udp in, large":    udp4(server, own, 53, 5000, pattern(1200)),
		"tcp in":           tcp4(server, own, 80, 5000, flagACK, pattern(55)),
		"echo in":          echo4(server, own, 0, 5000, 7, pattern(44)),
		"unreachable in":   icmp4(router4, own, 3, 3, 0, inner4),
		"prohibited in":    icmp4(router4, own, 3, 13, 0, inner4),
		"exceeded in":      icmp4(router4, own, 11, 0, 0, inner4[:28]),
		"too big in":       icmp4(router4, own, 3, 4, 1400, inner4),
		"protocol in":      icmp4(router4, own, 3, 2, 0, inner4),
		"echo error in":    icmp4(router4, own, 11, 0, 0, echo4(own, server, 8, 5000, 1, []byte("ping"))),
		"tcp error in":     icmp4(router4, own, 3, 1, 0, tcp4(own, server, 5000, 80, flagACK, []byte("x"))),
		"echo error out":   icmp6(router6, far, 3, 0, 0, echo6(far, device, 128, 5000, 1, []byte("ping"))),
		"traffic class in": classed(t, udp4(server, own, 53, 5000, nil), 0xb9),
	} {
		var ours []byte
		if p[0]>>4 == 6 {
			ours = b.out(p)
		} else {
			ours = b.in(p)
		}
		got := theirs(p)
		if got == nil {
			t.Errorf("%s: nothing comes of it", name)
			continue
		}
		if !bytes.Equal(common(ours), common(got)) {
			t.Errorf("%s:\nours   %x\ntheirs %x", name, ours, got)
		}
	}
}

func classed(t *testing.T, p []byte, tos uint8) []byte {
	p[1] = tos
	return seal(t, p)
}

// common is a packet without what two translators may do in their own ways: the
// hops, which are more through the kernel, identifications and whether small
// packets may be fragmented; and the checksums of these.
func common(p []byte) []byte {
	p = bytes.Clone(p)
	header := func(b []byte) {
		copy(b[4:9], make([]byte, 5))
		copy(b[10:12], make([]byte, 2))
	}
	if p[0]>>4 == 6 {
		p[7] = 0
		return p
	}
	header(p)
	if p[9] == protoICMP4 && p[20] != icmp4Echo && p[20] != icmp4EchoReply {
		header(p[28:])
		binary.BigEndian.PutUint16(p[22:], 0)
	}
	return p
}
