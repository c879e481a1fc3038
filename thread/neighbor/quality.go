package neighbor

// Quality is what is known of the radio link from a neighbour.
//
// Margins and their thresholds are Thread's: link quality 3 above 20 dB, 2
// above 10, 1 above 2, with 2 dB of hysteresis upwards.
type Quality struct {
	average int // RSSI in 1/8 dB; 0 with none heard
	heard   bool
	last    int8
	in      uint8
	floor   int8
}

const hysteresis = 2 // dB

var thresholds = [...]int{2, 10, 20} // dB over the receiver's sensitivity, for 1, 2, 3

// Heard takes the RSSI of a received frame and the receiver's sensitivity, dBm.
func (q *Quality) Heard(rssi, sensitivity int8) {
	q.last, q.floor = rssi, sensitivity
	if !q.heard {
		q.heard, q.average = true, int(rssi)*8
	} else {
		q.average += int(rssi) - q.average/8 // exponential, weight 1/8
	}
	q.in = q.classify()
}

// Restart has the mean begin with the next frame.
func (q *Quality) Restart() { q.heard = false }

func (q *Quality) classify() uint8 {
	margin := q.Margin()
	lq := uint8(0)
	for i, t := range thresholds {
		if uint8(i) >= q.in && q.in != 0 {
			t += hysteresis
		}
		if margin > t {
			lq = uint8(i + 1)
		}
	}
	return lq
}

// Known reports whether anything was heard.
func (q *Quality) Known() bool { return q.heard }

// Average is the mean RSSI in dBm.
func (q *Quality) Average() int8 { return int8(q.average / 8) }

// Last is the RSSI of the last frame in dBm.
func (q *Quality) Last() int8 { return q.last }

// Margin is the mean RSSI over the receiver's sensitivity in dB, at least 0.
func (q *Quality) Margin() int {
	if !q.heard {
		return 0
	}
	return max(0, q.average/8-int(q.floor))
}

// In is the link quality in, 0 to 3.
func (q *Quality) In() uint8 { return q.in }

// QualityOf is the link quality of a margin in dB, without memory.
func QualityOf(margin int) uint8 {
	lq := uint8(0)
	for i, t := range thresholds {
		if margin > t {
			lq = uint8(i + 1)
		}
	}
	return lq
}

// InfiniteCost is the cost of a route that does not exist.
const InfiniteCost = 16

// CostOf is the cost of a link of quality lq.
func CostOf(lq uint8) uint8 {
	switch lq {
	case 3:
		return 1
	case 2:
		return 2
	case 1:
		return 4
	default:
		return InfiniteCost
	}
}
