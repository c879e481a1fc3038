//go:build image

package image

import (
	"bufio"
	"encoding/json"
	"net"
)

// command has QEMU change the machine while it runs: a command of its QMP and
// arguments, names and values.
func (b *box) command(name string, arguments ...any) {
	b.t.Helper()
	conn, err := net.Dial("unix", b.monitor)
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	values := map[string]any{}
	for i := 0; i < len(arguments); i += 2 {
		values[arguments[i].(string)] = arguments[i+1]
	}
	out, answers := json.NewEncoder(conn), bufio.NewScanner(conn)
	for _, command := range []map[string]any{{"execute": "qmp_capabilities"}, {"execute": name, "arguments": values}} {
		if err := out.Encode(command); err != nil {
			b.t.Fatal(err)
		}
		for answers.Scan() {
			var a struct{ Return, Error json.RawMessage }
			if err := json.Unmarshal(answers.Bytes(), &a); err != nil || a.Error != nil {
				b.t.Fatalf("%v: %s, %v", command, answers.Bytes(), err)
			}
			if a.Return != nil {
				break // what comes before is a greeting, or news
			}
		}
	}
}
