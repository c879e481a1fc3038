package coap

// A Block is the value of a Block1 or Block2 option (RFC 7959 Section 2.2).
type Block struct {
	Num  uint32 // 20 bits
	More bool
	SZX  uint8 // 0 to 6: 16 to 1024 bytes
}

// MaxSZX is the largest block size exponent, 1024 bytes; 7 is reserved.
const MaxSZX = 6

const maxBlockNum = 1<<20 - 1

// Size returns the size of a block in bytes.
func (b Block) Size() int { return 16 << b.SZX }

// Offset returns where in the body the block begins, in bytes.
func (b Block) Offset() int { return int(b.Num) << (b.SZX + 4) }

// Option returns b as the option with a number, OptionBlock1 or OptionBlock2.
func (b Block) Option(number uint16) Option {
	v := b.Num<<4 | uint32(b.SZX&7)
	if b.More {
		v |= 8
	}
	return UintOption(number, v&0xffffff)
}

// Block1 returns the Block1 option. A reserved size exponent counts as absent
// here; servers answer it with 4.00 (RFC 7959 Section 2.2).
func (m Message) Block1() (Block, bool) { return m.block(OptionBlock1) }

// Block2 returns the Block2 option, like Block1.
func (m Message) Block2() (Block, bool) { return m.block(OptionBlock2) }

func (m Message) block(number uint16) (Block, bool) {
	v, ok := m.Uint(number)
	if !ok || v&7 > MaxSZX {
		return Block{}, false
	}
	return Block{Num: v >> 4, More: v&8 != 0, SZX: uint8(v & 7)}, true
}
