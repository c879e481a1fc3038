package simnode

import (
	"bufio"
)

// console is the line discipline of OpenThread's command line: it echoes what
// is typed, edits by backspace, and ends a line at CR, LF or both.
type console struct {
	out  *bufio.Writer
	line []byte
	last byte
	give func(line string)
}

// maxTyped bounds a line; what is typed beyond is not taken.
const maxTyped = 639

// feed takes typed bytes until a line ends, gives that and returns the rest:
// what follows a line may be for another node than the one that executes it.
func (c *console) feed(b []byte) (rest []byte) {
	for i, x := range b {
		last := c.last
		c.last = x
		switch x {
		case '\n', '\r':
			if x == '\n' && last == '\r' {
				continue
			}
			c.write("\r\n")
			line := string(c.line)
			c.line = c.line[:0]
			c.give(line)
			return b[i+1:]
		case '\b', 0x7f:
			if n := len(c.line); n > 0 {
				c.line = c.line[:n-1]
				c.write("\b \b")
			}
		default:
			if len(c.line) < maxTyped {
				c.line = append(c.line, x)
				c.out.WriteByte(x)
			}
		}
	}
	return nil
}

func (c *console) write(s string) { c.out.WriteString(s) }
