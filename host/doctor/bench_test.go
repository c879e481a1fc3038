package doctor

import (
	"testing"

	"gatewayd/host/firewall"
)

// What a round of the continuous checks costs a gateway at work.
func BenchmarkRun(b *testing.B) {
	if err := firewall.Probe(); err != nil {
		b.Skipf("SKIPPED: %v", err)
	}
	dir := b.TempDir()
	for b.Loop() {
		Run(b.Context(), Options{Firewall: true, DataDir: dir, PD: true})
	}
}
