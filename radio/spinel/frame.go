package spinel

import "fmt"

// Command is what a frame asks or answers (draft Section 4).
type Command uint32

// The commands that an RCP takes or sends.
const (
	CmdNoop     Command = 0
	CmdReset    Command = 1
	CmdGet      Command = 2
	CmdSet      Command = 3
	CmdInsert   Command = 4
	CmdRemove   Command = 5
	CmdIs       Command = 6
	CmdInserted Command = 7
	CmdRemoved  Command = 8
)

var commandNames = map[Command]string{
	CmdNoop: "NOOP", CmdReset: "RESET",
	CmdGet: "PROP_VALUE_GET", CmdSet: "PROP_VALUE_SET",
	CmdInsert: "PROP_VALUE_INSERT", CmdRemove: "PROP_VALUE_REMOVE",
	CmdIs: "PROP_VALUE_IS", CmdInserted: "PROP_VALUE_INSERTED", CmdRemoved: "PROP_VALUE_REMOVED",
}

func (c Command) String() string { return named(commandNames, c, "CMD") }

// hasProp reports whether a property number follows the command.
func (c Command) hasProp() bool { return CmdGet <= c && c <= CmdRemoved }

// ResetType says how much a CmdReset resets.
type ResetType uint8

// The kinds of reset.
const (
	ResetPlatform   ResetType = 1 // the chip
	ResetStack      ResetType = 2 // the protocol stack only
	ResetBootloader ResetType = 3 // into the bootloader
)

func (t ResetType) String() string {
	switch t {
	case ResetPlatform:
		return "platform"
	case ResetStack:
		return "stack"
	case ResetBootloader:
		return "bootloader"
	}
	return fmt.Sprintf("reset type %d", uint8(t))
}

// The header byte: two bits that are always 10, interface, transaction.
const (
	headerMark = 0x80
	headerMask = 0xc0
	maxIID     = 3
	maxTID     = 15
)

// A Frame is one Spinel message.
type Frame struct {
	IID  uint8 // interface, 0..3
	TID  uint8 // transaction, 1..15; 0 when it is not the answer to anything
	Cmd  Command
	Prop Prop // of commands about a property

	// Value is the property's value, or whatever follows a command that is not
	// about a property.
	Value []byte
}

// Append encodes the frame.
func (f Frame) Append(b []byte) []byte {
	b = append(b, headerMark|f.IID&maxIID<<4|f.TID&maxTID)
	b = AppendPacked(b, uint32(f.Cmd))
	if f.Cmd.hasProp() {
		b = AppendPacked(b, uint32(f.Prop))
	}
	return append(b, f.Value...)
}

// DecodeFrame decodes a message; Value aliases b.
func DecodeFrame(b []byte) (Frame, error) {
	r := NewReader(b, 0)
	h := r.Uint8("header")
	if r.Err() == nil && h&headerMask != headerMark {
		return Frame{}, &DecodeError{What: "header", Err: ErrHeader}
	}
	f := Frame{IID: h >> 4 & maxIID, TID: h & maxTID}
	f.Cmd = Command(r.Packed("command"))
	if f.Cmd.hasProp() {
		f.Prop = Prop(r.Packed("property"))
	}
	f.Value = r.Rest()
	if err := r.Err(); err != nil {
		return Frame{}, err
	}
	return f, nil
}

func (f Frame) String() string {
	if f.Cmd.hasProp() {
		return fmt.Sprintf("tid %d %v %v %x", f.TID, f.Cmd, f.Prop, f.Value)
	}
	return fmt.Sprintf("tid %d %v %x", f.TID, f.Cmd, f.Value)
}

// named returns a number's name, or kind and number.
func named[T ~uint32](names map[T]string, v T, kind string) string {
	if s, ok := names[v]; ok {
		return s
	}
	return fmt.Sprintf("%s_%#x", kind, uint32(v))
}
