package medium

import (
	"math"
	"math/rand/v2"
)

// dBm of nothing at all, low enough not to matter in any sum.
const silence = -200

func milliwatt(dBm float64) float64 { return math.Pow(10, dBm/10) }

func dBm(mW float64) float64 {
	if mW <= 0 {
		return silence
	}
	return 10 * math.Log10(mW)
}

// toInt8 rounds to what a radio reports.
func toInt8(dBm float64) int8 {
	return int8(math.Round(min(max(dBm, -127), 126)))
}

// pathLoss is the loss in dB over d metres: log-distance, with the free space
// loss of 2.4 GHz at one metre as its reference.
func pathLoss(d, exponent float64) float64 {
	const lossAtOneMetre = 40
	return lossAtOneMetre + 10*exponent*math.Log10(max(d, 0.1))
}

// captureRatio is how much stronger than all others together a frame must be
// to come through, 3 dB. Other frames are worse than as much noise, for they
// are made of the same chips.
const captureRatio = 2

// bitErrorRate of the 2.4 GHz O-QPSK PHY at a signal to interference and noise
// ratio, as a plain number (IEEE 802.15.4-2006 Annex E.4.1.8).
func bitErrorRate(sinr float64) float64 {
	sum, binomial := 0.0, 16.0
	for k := 2; k <= 16; k++ {
		binomial = binomial * float64(16-k+1) / float64(k) // 16 over k
		term := binomial * math.Exp(20*sinr*(1/float64(k)-1))
		if k%2 == 1 {
			term = -term
		}
		sum += term
	}
	return min(max(8.0/15/16*sum, 0), 0.5)
}

// survives draws whether n bytes get through at an SINR in dB.
func survives(r *rand.Rand, n int, sinrDB float64) bool {
	const clear, hopeless = 6, -6 // beyond these the draw is a formality
	switch {
	case sinrDB >= clear:
		return true
	case sinrDB <= hopeless:
		return false
	}
	ber := bitErrorRate(math.Pow(10, sinrDB/10))
	return r.Float64() < math.Pow(1-ber, float64(8*n))
}

// quality is the LQI a receiver makes of an SINR in dB: 255 from 40 dB on.
func quality(sinrDB float64) uint8 {
	return uint8(min(max(sinrDB*255/40, 1), 255))
}
