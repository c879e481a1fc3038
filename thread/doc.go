// Package thread is a Thread device as one machine: Node.
//
// It is made of parts, each a machine of its own, that are wired here: mac,
// mesh (the forwarder), trel (the link beside the radio), ip, mle, tmf, addr
// (address resolution), netdata, dataset, joining, publish, dhcp. What binds two
// of them, and belongs to neither, is here too: the CoAP side of router ids and
// network data, stateless address configuration, what is stored.
//
// A Node is told the time with every input and reads no clock. It sends to a
// radio.Radio, gives datagrams to the host and stores state through functions
// of its Config, and is itself the radio's handler.
package thread
