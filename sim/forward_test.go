package sim

import (
	"testing"
	"time"

	"gatewayd/ipv6"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
)

// BenchmarkForward is what it takes to bring a datagram from the host's interface
// to a neighbour: the node's whole way down to its radio, the air without air
// time, and the neighbour's way up. A channel of 250 kb/s carries about 350 of
// the small ones in a second.
func BenchmarkForward(b *testing.B) {
	for _, size := range []int{16, 1000} {
		b.Run(map[int]string{16: "16B", 1000: "1000B"}[size], func(b *testing.B) {
			w := New(1, Options{Ideal: true})
			leader := w.Add(Config{Name: "leader", Host: func([]byte) {}})
			received := 0
			child := w.Add(Config{Name: "child", Kind: MTD, Host: func([]byte) { received++ }})
			w.Link(leader, child)
			d, err := meshcop.NewRandom(leader.Random(), meshcop.AllChannels(), meshcop.AllChannels())
			if err != nil {
				b.Fatal(err)
			}
			for _, n := range []*Node{leader, child} {
				n.InterfaceUp()
				n.SetActiveDataset(&d)
				if err := n.Start(); err != nil {
					b.Fatal(err)
				}
				if !w.RunUntil(time.Minute, func() bool { return n.MLE().Role() >= mle.Child }) {
					b.Fatalf("%s is %v", n.Name, n.MLE().Role())
				}
			}
			w.Run(10 * time.Second)
			dst := child.MLEID()
			packet := ipv6.AppendUDPPacket(nil, ipv6.Header{Src: leader.MLEID(), Dst: dst, HopLimit: 64}, 1234, 5678, make([]byte, size))
			send := func() {
				_ = leader.FromHost(append(make([]byte, 0, len(packet)+48), packet...))
				w.RunUntil(time.Second, func() bool { return received > 0 })
			}
			for range 3 { // until the address is resolved
				send()
				w.Run(time.Second)
			}
			b.ReportAllocs()
			for b.Loop() {
				received = 0
				send()
				if received == 0 {
					b.Fatal("lost")
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "packets/s")
		})
	}
}
