package neighbor

// Rate is the share of transmissions that failed: the mean of them all, in which
// each next one weighs 1/64. 0xffff is all.
type Rate uint16

const rateWeight = 64

// Add takes the outcome of a transmission.
func (r *Rate) Add(ok bool) {
	sum := uint32(*r) * (rateWeight - 1)
	if !ok {
		sum += 0xffff
	}
	*r = Rate((sum + rateWeight/2) / rateWeight)
}
