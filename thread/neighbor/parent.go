package neighbor

// Parent is the router that we are a child of, or want to be.
type Parent struct {
	Neighbor
	QualityOut  uint8
	CSLAccuracy uint8
	CSLUncert   uint8
	LeaderCost  uint8

	// skipped has a bit for each of the counters before MLECounter, the last one
	// first, of which no message came.
	skipped uint64
	before  uint32 // MLECounter that skipped counts from
}

// Heard takes an MLE message with a counter that is not below MLECounter.
func (p *Parent) Heard(counter uint32) {
	if p.before != p.MLECounter {
		p.skipped = 0 // it was set to what the parent told
	}
	gap := counter - p.MLECounter
	p.skipped <<= min(gap+1, 64)
	for i := range min(gap, 63) {
		p.skipped |= 2 << i
	}
	p.MLECounter = counter + 1
	p.before = p.MLECounter
}

// Overtaken reports whether a message with a counter below MLECounter is one
// that later ones overtook. Each counter is taken once.
func (p *Parent) Overtaken(counter uint32) bool {
	back := p.MLECounter - 1 - counter
	if p.before != p.MLECounter || back >= 64 || p.skipped>>back&1 == 0 {
		return false
	}
	p.skipped &^= 1 << back
	return true
}
